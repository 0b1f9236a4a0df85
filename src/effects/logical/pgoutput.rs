//! The messages of PostgreSQL's `pgoutput`, protocol version 1: which rows changed, by the texts of their columns.

use crate::model::fault::Fault;

/// A column of a row; what was not sent is `None`.
pub type Row = Vec<Field>;

/// A value as it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Field {
    /// NULL.
    Null,
    /// A long value that did not change, and was therefore not sent.
    Unchanged,
    /// The text of a value.
    Text(String),
}

/// A table as it was when the changes behind this were made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relation {
    /// What changes call it.
    pub id: u32,
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// Names of its columns, in the order in which rows have them.
    pub columns: Vec<String>,
}

/// What matters of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// A transaction begins, whose commit stands at this position.
    Begin(u64),
    /// It was not made here, but applied from another server.
    Origin,
    /// It ends; this is the position behind its commit.
    Commit(u64),
    /// What follows is about this table.
    Relation(Relation),
    /// A row came.
    Insert(u32, Row),
    /// A row was changed. The old one is there if its key was changed, or if the table has none.
    Update(u32, Option<Row>, Row),
    /// A row went; of it the key, or everything if the table has none.
    Delete(u32, Row),
    /// Tables were emptied.
    Truncate(Vec<u32>),
    /// Something without meaning here.
    Other,
}

/// Reads one message.
pub fn read(bytes: &[u8]) -> Result<Message, Fault> {
    let mut rest = Rest(bytes);
    message(&mut rest).ok_or_else(|| {
        let kind = bytes.first().map_or(String::new(), |kind| char::from(*kind).to_string());
        Fault::fatal("logical.stream", format!("a message `{kind}` of the change stream cannot be read"))
            .hinted("the server speaks another version of pgoutput than 1; this is a defect of this program")
    })
}

fn message(rest: &mut Rest<'_>) -> Option<Message> {
    Some(match rest.byte()? {
        b'B' => Message::Begin(rest.long()?),
        b'O' => Message::Origin,
        b'C' => {
            let _flags = rest.byte()?;
            let _commit = rest.long()?;
            Message::Commit(rest.long()?)
        }
        b'R' => {
            let (id, schema, name) = (rest.word()?, rest.text()?, rest.text()?);
            let _identity = rest.byte()?;
            let count = rest.short()?;
            let mut columns = Vec::with_capacity(count.into());
            for _ in 0..count {
                let _flags = rest.byte()?;
                columns.push(rest.text()?);
                let (_kind, _modifier) = (rest.word()?, rest.word()?);
            }
            Message::Relation(Relation { id, schema, name, columns })
        }
        b'I' => {
            let id = rest.word()?;
            (rest.byte()? == b'N').then_some(())?;
            Message::Insert(id, row(rest)?)
        }
        b'U' => {
            let id = rest.word()?;
            let old = match rest.byte()? {
                b'K' | b'O' => {
                    let old = row(rest)?;
                    (rest.byte()? == b'N').then_some(())?;
                    Some(old)
                }
                b'N' => None,
                _ => return None,
            };
            Message::Update(id, old, row(rest)?)
        }
        b'D' => {
            let id = rest.word()?;
            matches!(rest.byte()?, b'K' | b'O').then_some(())?;
            Message::Delete(id, row(rest)?)
        }
        b'T' => {
            let count = rest.word()?;
            let _options = rest.byte()?;
            Message::Truncate((0..count).map(|_| rest.word()).collect::<Option<_>>()?)
        }
        _ => Message::Other,
    })
}

fn row(rest: &mut Rest<'_>) -> Option<Row> {
    let count = rest.short()?;
    (0..count)
        .map(|_| {
            Some(match rest.byte()? {
                b'n' => Field::Null,
                b'u' => Field::Unchanged,
                b't' => {
                    let length = usize::try_from(rest.word()?).ok()?;
                    Field::Text(String::from_utf8(rest.take(length)?.to_vec()).ok()?)
                }
                _ => return None,
            })
        })
        .collect()
}

struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    fn short(&mut self) -> Option<u16> {
        self.take(2)?.try_into().ok().map(u16::from_be_bytes)
    }

    fn word(&mut self) -> Option<u32> {
        self.take(4)?.try_into().ok().map(u32::from_be_bytes)
    }

    fn long(&mut self) -> Option<u64> {
        self.take(8)?.try_into().ok().map(u64::from_be_bytes)
    }

    /// Text up to a zero byte.
    fn text(&mut self) -> Option<String> {
        let end = self.0.iter().position(|byte| *byte == 0)?;
        let text = String::from_utf8(self.take(end)?.to_vec()).ok()?;
        self.byte()?;
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::{Field, Message, read};

    #[test]
    fn messages_are_read_whole_and_what_is_cut_off_is_refused() {
        let update = b"U\0\0\0\x07K\0\x02t\0\0\0\x01anN\0\x02t\0\0\0\x01bu";
        let text = |text: &str| Field::Text(text.to_owned());
        let old = Some(vec![text("a"), Field::Null]);
        assert_eq!(read(update), Ok(Message::Update(7, old, vec![text("b"), Field::Unchanged])));
        assert_eq!(read(b"T\0\0\0\x02\0\0\0\0\x01\0\0\0\x02"), Ok(Message::Truncate(vec![1, 2])));
        for cut in 1..update.len() {
            assert!(read(&update[..cut]).is_err(), "{cut}");
        }
        assert_eq!(read(b"Mwhatever"), Ok(Message::Other));
    }
}

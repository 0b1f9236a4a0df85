//! Variables inside an env file that others wrote: their lines stay as they are, byte for byte.

use std::collections::BTreeMap;

use crate::model::dotenv;
use crate::model::fault::Fault;

/// The text with these variables set, as `quoted` values. One that is there several times is set at each place, since some
/// readers believe the first one and some the last; one that is missing is added at the end.
pub fn set(text: &str, variables: &BTreeMap<&str, String>) -> Result<String, Fault> {
    let mut edited = String::with_capacity(text.len());
    let mut upto = 0;
    let mut left: Vec<&str> = variables.keys().copied().collect();
    for line in read(text)? {
        let Some((name, value)) = line.name.as_deref().and_then(|name| variables.get_key_value(name)) else { continue };
        let behind = text[line.rest.clone()].trim();
        if !(behind.is_empty() || behind.starts_with('#')) {
            return Err(Fault::fatal(
                "files.syntax",
                format!("line {}: there is text behind the quotes of {name}", line.number),
            )
            .hinted("a line reads NAME=value; mend it by hand"));
        }
        edited.push_str(&text[upto..line.at.start]);
        edited.push_str(value);
        upto = line.at.end;
        left.retain(|other| other != name);
    }
    edited.push_str(&text[upto..]);
    let end = if text.contains("\r\n") { "\r\n" } else { "\n" };
    for name in left {
        if !edited.is_empty() && !edited.ends_with('\n') {
            edited.push_str(end);
        }
        edited.extend([name, "=", &variables[name], end]);
    }
    Ok(edited)
}

/// What each variable is set to; the last one of a name counts.
pub fn values(text: &str) -> Result<BTreeMap<String, String>, Fault> {
    Ok(read(text)?.into_iter().filter_map(|line| Some((line.name?, line.value))).collect())
}

fn read(text: &str) -> Result<Vec<dotenv::Line>, Fault> {
    dotenv::lines(text).map_err(|unclosed| {
        Fault::fatal("files.syntax", format!("line {}: a quote is not closed", unclosed.0))
            .hinted("nothing was written; mend the line by hand")
    })
}

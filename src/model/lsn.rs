//! Positions of the write-ahead log, as PostgreSQL writes them: `0/3000060`.

/// The position that a text is, if it is one.
pub fn read(text: &str) -> Option<u64> {
    let (high, low) = text.split_once('/')?;
    let half = |half: &str| {
        let digits = (1..=8).contains(&half.len()) && half.bytes().all(|digit| digit.is_ascii_hexdigit());
        digits.then(|| u64::from_str_radix(half, 16).ok()).flatten()
    };
    Some(half(high)? << 32 | half(low)?)
}

/// A position as text.
pub fn text(lsn: u64) -> String {
    format!("{:X}/{:X}", lsn >> 32, lsn & u64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_position_is_read_as_it_is_written_and_nothing_else_is_one() {
        for lsn in [0, 0x0300_0060, 0x16_B374_D848, u64::MAX] {
            assert_eq!(super::read(&super::text(lsn)), Some(lsn));
        }
        assert_eq!(super::text(0x16_B374_D848), "16/B374D848");
        for wrong in ["", "/", "0/", "/0", "+1/0", "0/123456789", "0x0/1", "1/2/3", "main"] {
            assert_eq!(super::read(wrong), None, "{wrong}");
        }
    }
}

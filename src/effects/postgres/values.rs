//! Rows to plain data, from the binary format, so that nothing depends on a session's output settings.

use std::fmt::Write as _;
use std::net::IpAddr;

use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeDelta, Utc};
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, Kind, Type};

use crate::model::Value;
use crate::model::fault::Fault;

/// A column's bytes as the server sent them; `None` is NULL.
struct Raw<'a>(Option<&'a [u8]>);

impl<'a> FromSql<'a> for Raw<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(Some(raw)))
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(None))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// A row as an object. Two columns of one name and types without a plain form are refused.
pub fn object(row: &Row) -> Result<Value, Fault> {
    let mut object = serde_json::Map::new();
    for (index, column) in row.columns().iter().enumerate() {
        let raw: Raw<'_> = row
            .try_get(index)
            .map_err(|error| Fault::fatal("sql.type", format!("column {} cannot be read: {error}", column.name())))?;
        let value = match raw.0 {
            None => Value::Null,
            Some(bytes) => decode(column.type_(), bytes).ok_or_else(|| unreadable(column.name(), column.type_()))?,
        };
        if object.insert(column.name().to_owned(), value).is_some() {
            return Err(Fault::fatal("sql.columns", format!("two columns are called `{}`", column.name()))
                .hinted("give each column a name of its own with `as`"));
        }
    }
    Ok(Value::Object(object))
}

fn unreadable(column: &str, kind: &Type) -> Fault {
    Fault::fatal(
        "sql.type",
        format!(
            "column {column} has type {}, or a value of it, that has no plain form; cast it: {column}::text",
            kind.name()
        ),
    )
}

/// One value. `None` if there is no plain form for it.
fn decode(kind: &Type, raw: &[u8]) -> Option<Value> {
    match kind.kind() {
        Kind::Domain(base) => return decode(base, raw),
        Kind::Enum(_) => return text(raw),
        Kind::Array(element) => return array(element, raw),
        _ => {}
    }
    let int = |value: i64| Some(Value::from(value));
    match *kind {
        Type::BOOL => Some(Value::Bool(*raw.first()? != 0)),
        Type::INT2 => int(i16::from_be_bytes(raw.try_into().ok()?).into()),
        Type::INT4 => int(i32::from_be_bytes(raw.try_into().ok()?).into()),
        Type::INT8 => int(i64::from_be_bytes(raw.try_into().ok()?)),
        Type::OID => int(u32::from_be_bytes(raw.try_into().ok()?).into()),
        Type::XID => Some(u32::from_be_bytes(raw.try_into().ok()?).to_string().into()),
        // The shortest text of a 32 bit float is what people wrote; widening it would show noise.
        Type::FLOAT4 => float(f32::from_be_bytes(raw.try_into().ok()?).to_string().parse().ok()?),
        Type::FLOAT8 => float(f64::from_be_bytes(raw.try_into().ok()?)),
        Type::NUMERIC => numeric(raw),
        Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME | Type::UNKNOWN | Type::XML | Type::CHAR => text(raw),
        Type::UUID => uuid(raw),
        Type::JSON => serde_json::from_slice(raw).ok(),
        Type::JSONB => serde_json::from_slice(raw.strip_prefix(&[1])?).ok(),
        Type::DATE => date(i32::from_be_bytes(raw.try_into().ok()?)),
        Type::TIME => time(i64::from_be_bytes(raw.try_into().ok()?)),
        Type::TIMESTAMP => timestamp(i64::from_be_bytes(raw.try_into().ok()?), ""),
        Type::TIMESTAMPTZ => timestamp(i64::from_be_bytes(raw.try_into().ok()?), "Z"),
        Type::INTERVAL => interval(raw),
        Type::BYTEA => Some(format!("\\x{}", crate::model::digest::hex(raw)).into()),
        Type::INET | Type::CIDR => inet(raw),
        Type::MACADDR => Some(raw.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":").into()),
        Type::PG_LSN => {
            let lsn = u64::from_be_bytes(raw.try_into().ok()?);
            Some(format!("{:X}/{:X}", lsn >> 32, lsn & 0xFFFF_FFFF).into())
        }
        Type::VOID => Some(Value::Null),
        _ if kind.name() == "xid8" => Some(u64::from_be_bytes(raw.try_into().ok()?).to_string().into()),
        _ if kind.name() == "citext" => text(raw),
        _ => None,
    }
}

fn text(raw: &[u8]) -> Option<Value> {
    Some(std::str::from_utf8(raw).ok()?.into())
}

fn float(value: f64) -> Option<Value> {
    Some(match serde_json::Number::from_f64(value) {
        Some(number) => Value::Number(number),
        None if value.is_nan() => "NaN".into(),
        None if value > 0.0 => "Infinity".into(),
        None => "-Infinity".into(),
    })
}

fn word(raw: &[u8], index: usize) -> Option<u16> {
    Some(u16::from_be_bytes(raw.get(index * 2..index * 2 + 2)?.try_into().ok()?))
}

/// Digits to the base of 10,000: count, weight of the first, sign, decimals shown, digits.
fn numeric(raw: &[u8]) -> Option<Value> {
    let (count, weight, sign, scale) = (word(raw, 0)?, word(raw, 1)? as i16, word(raw, 2)?, word(raw, 3)?);
    let sign = match sign {
        0x0000 => "",
        0x4000 => "-",
        0xC000 => return Some("NaN".into()),
        0xD000 => return Some("Infinity".into()),
        _ => return Some("-Infinity".into()),
    };
    let digit = |place: i32| {
        usize::try_from(place)
            .ok()
            .filter(|place| *place < count.into())
            .and_then(|place| word(raw, 4 + place))
            .unwrap_or(0)
    };
    let mut whole = String::new();
    for place in 0..=i32::from(weight) {
        let _ = if whole.is_empty() { write!(whole, "{}", digit(place)) } else { write!(whole, "{:04}", digit(place)) };
    }
    let whole = match whole.trim_start_matches('0') {
        "" => "0",
        digits => digits,
    };
    if scale == 0 {
        let exact = format!("{sign}{whole}");
        return Some(exact.parse::<i64>().map_or_else(|_| exact.clone().into(), Value::from));
    }
    let mut fraction = String::new();
    let mut place = i32::from(weight) + 1;
    if place < 0 {
        fraction.push_str(&"0000".repeat(place.unsigned_abs() as usize));
        place = 0;
    }
    while fraction.len() < scale.into() {
        let _ = write!(fraction, "{:04}", digit(place));
        place += 1;
    }
    fraction.truncate(scale.into());
    Some(format!("{sign}{whole}.{fraction}").into())
}

fn uuid(raw: &[u8]) -> Option<Value> {
    let hex = crate::model::digest::hex(raw);
    let part = |from: usize, to: usize| hex.get(from..to);
    Some(format!("{}-{}-{}-{}-{}", part(0, 8)?, part(8, 12)?, part(12, 16)?, part(16, 20)?, part(20, 32)?).into())
}

/// The day from which PostgreSQL counts.
fn epoch() -> NaiveDate {
    NaiveDate::from_ymd_opt(2000, 1, 1).unwrap_or_default()
}

fn date(days: i32) -> Option<Value> {
    match days {
        i32::MAX => return Some("infinity".into()),
        i32::MIN => return Some("-infinity".into()),
        _ => {}
    }
    let distance = Days::new(days.unsigned_abs().into());
    let date = if days < 0 { epoch().checked_sub_days(distance) } else { epoch().checked_add_days(distance) };
    Some(date?.format("%Y-%m-%d").to_string().into())
}

fn time(micros: i64) -> Option<Value> {
    if micros == 86_400_000_000 {
        return Some("24:00:00".into());
    }
    let (seconds, rest) = (micros / 1_000_000, micros % 1_000_000);
    let time =
        NaiveTime::from_num_seconds_from_midnight_opt(seconds.try_into().ok()?, u32::try_from(rest).ok()? * 1000)?;
    Some(time.format("%H:%M:%S%.f").to_string().into())
}

/// A point in time as PostgreSQL counts it; `None` for infinity and what lies outside of the calendar.
pub fn moment(micros: i64) -> Option<DateTime<Utc>> {
    epoch().and_hms_opt(0, 0, 0)?.and_utc().checked_add_signed(TimeDelta::microseconds(micros))
}

fn timestamp(micros: i64, zone: &str) -> Option<Value> {
    match micros {
        i64::MAX => return Some("infinity".into()),
        i64::MIN => return Some("-infinity".into()),
        _ => {}
    }
    Some(format!("{}{zone}", moment(micros)?.format("%Y-%m-%dT%H:%M:%S%.f")).into())
}

/// ISO 8601: `P1Y2M3DT4H5M6.7S`.
fn interval(raw: &[u8]) -> Option<Value> {
    let micros = i64::from_be_bytes(raw.get(..8)?.try_into().ok()?);
    let days = i32::from_be_bytes(raw.get(8..12)?.try_into().ok()?);
    let months = i32::from_be_bytes(raw.get(12..16)?.try_into().ok()?);
    let mut written = String::from("P");
    for (amount, unit) in [(months / 12, 'Y'), (months % 12, 'M'), (days, 'D')] {
        if amount != 0 {
            let _ = write!(written, "{amount}{unit}");
        }
    }
    let seconds = micros / 1_000_000;
    let mut clock = String::new();
    for (amount, unit) in [(seconds / 3600, 'H'), (seconds / 60 % 60, 'M')] {
        if amount != 0 {
            let _ = write!(clock, "{amount}{unit}");
        }
    }
    let (second, fraction) = (seconds % 60, micros % 1_000_000);
    if second != 0 || fraction != 0 {
        let sign = if micros < 0 { "-" } else { "" };
        let fraction = format!("{:06}", fraction.abs());
        let fraction = fraction.trim_end_matches('0');
        let point = if fraction.is_empty() { "" } else { "." };
        let _ = write!(clock, "{sign}{}{point}{fraction}S", second.abs());
    }
    if !clock.is_empty() {
        let _ = write!(written, "T{clock}");
    }
    Some(if written == "P" { "PT0S".into() } else { written.into() })
}

fn inet(raw: &[u8]) -> Option<Value> {
    let (bits, cidr, length) = (*raw.get(1)?, *raw.get(2)? != 0, usize::from(*raw.get(3)?));
    let bytes = raw.get(4..4 + length)?;
    let address: IpAddr = match length {
        4 => <[u8; 4]>::try_from(bytes).ok()?.into(),
        _ => <[u8; 16]>::try_from(bytes).ok()?.into(),
    };
    let whole = usize::from(bits) == length * 8;
    Some(if whole && !cidr { address.to_string().into() } else { format!("{address}/{bits}").into() })
}

/// Number of dimensions, flags, element type; length and lower bound a dimension; then length and bytes an element.
fn array(element: &Type, raw: &[u8]) -> Option<Value> {
    let mut at = 0;
    let mut next = || {
        let number = i32::from_be_bytes(raw.get(at..at + 4)?.try_into().ok()?);
        at += 4;
        Some(number)
    };
    let dimensions = next()?;
    let (_flags, _element) = (next()?, next()?);
    let mut lengths = Vec::new();
    for _ in 0..dimensions {
        lengths.push(usize::try_from(next()?).ok()?);
        let _lower_bound = next()?;
    }
    if lengths.is_empty() {
        return Some(Value::Array(Vec::new()));
    }
    nested(element, raw, &mut at, &lengths)
}

fn nested(element: &Type, raw: &[u8], at: &mut usize, lengths: &[usize]) -> Option<Value> {
    let (length, inner) = lengths.split_first()?;
    let mut items = Vec::new();
    for _ in 0..*length {
        if !inner.is_empty() {
            items.push(nested(element, raw, at, inner)?);
            continue;
        }
        let size = i32::from_be_bytes(raw.get(*at..*at + 4)?.try_into().ok()?);
        *at += 4;
        items.push(match usize::try_from(size) {
            Err(_) => Value::Null,
            Ok(size) => {
                let value = decode(element, raw.get(*at..*at + size)?)?;
                *at += size;
                value
            }
        });
    }
    Some(Value::Array(items))
}

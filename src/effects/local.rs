//! The words that ask this host: time, randomness, variables, waiting, a line for people.

use chrono::{DateTime, SecondsFormat, Utc};

use super::{Done, Ledger, Ticket, World, sealing};
use crate::model::Value;
use crate::model::action::{Action, Recovery};
use crate::model::clock::Clock;
use crate::model::event::Event;
use crate::model::fault::Fault;
use crate::model::preview::{Level, Previewed};
use crate::model::request::table::LogTable;
use crate::model::request::{EnvVar, LogLine, Now, RandomPassword, ReadClock, Request, Sleep, TimeTold};
use crate::model::secret;

/// The words performed here. After a crash each is simply performed again.
pub const WORDS: [&str; 8] = [
    Now::WORD,
    ReadClock::WORD,
    RandomPassword::WORD,
    EnvVar::WORD,
    LogLine::WORD,
    LogTable::WORD,
    Sleep::WORD,
    TimeTold::WORD,
];

/// Rows of a table that are shown while a run goes on; the report has them all.
const ROWS: usize = 40;

/// What passwords are made of: 64 characters that no URL, shell or SQL text gives a meaning to.
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Lengths a password may have.
const PASSWORD_LENGTHS: std::ops::RangeInclusive<u64> = 8..=1024;

/// The host's clock and random source.
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }

    fn random(&self, buffer: &mut [u8]) {
        rand::fill(buffer);
    }
}

/// Performs one of [`WORDS`].
pub async fn perform(world: &World, action: &Action, ticket: &Ticket, ledger: &dyn Ledger) -> Result<Done, Fault> {
    if action.class != Recovery::Read {
        ledger.intent(Value::Null)?;
    }
    let value = match action.word.as_str() {
        Now::WORD => time(world),
        ReadClock::WORD => world.clock.now().timestamp().into(),
        EnvVar::WORD => variable(world, action)?,
        RandomPassword::WORD => {
            let length = password_length(action)?;
            let run = ticket.run_name();
            sealing::keep(world, ledger, &format!("random:{run}/{}", ticket.key), || password(world, length))?.into()
        }
        LogLine::WORD => {
            let line = world.vault.redact(&LogLine::of(action)?.text);
            world.sink.event(Event::Log(secret::readable(&line)));
            Value::Null
        }
        LogTable::WORD => {
            tell(world, &LogTable::of(action)?);
            Value::Null
        }
        Sleep::WORD => {
            let seconds = Sleep::of(action)?.seconds;
            let pause = std::time::Duration::try_from_secs_f64(seconds).map_err(|_| {
                Fault::fatal("flow.sleep", format!("{seconds} is no number of seconds that one can wait"))
            })?;
            tokio::time::sleep(pause).await;
            Value::Null
        }
        TimeTold::WORD => told(world, action)?,
        word => return Err(unknown_word(word)),
    };
    Ok(Done { value, rows: None })
}

/// Shows a table, as far as a person can follow it.
fn tell(world: &World, table: &LogTable) {
    let say = |text: &str| world.sink.event(Event::Log(secret::readable(&world.vault.redact(text))));
    let lines = table.lines();
    if lines.is_empty() {
        return say(&format!("{}: none", table.title));
    }
    say(&format!("{}:", table.title));
    for line in lines.iter().take(1 + ROWS) {
        say(&format!("  {line}"));
    }
    if table.rows.len() > ROWS {
        say(&format!("  … and {} more, which the report lists", table.rows.len() - ROWS));
    }
}

/// Says what one of [`WORDS`] would answer.
pub async fn preview(world: &World, action: &Action) -> Result<Previewed, Fault> {
    let (level, value, note) = match action.word.as_str() {
        Now::WORD => (Level::Read, Some(time(world)), Some("the time of this preview; a run has its own")),
        ReadClock::WORD => (Level::Read, Some(world.clock.now().timestamp().into()), None),
        EnvVar::WORD => (Level::Read, Some(variable(world, action)?), None),
        RandomPassword::WORD => {
            password_length(action)?;
            (Level::Rendered, None, None)
        }
        TimeTold::WORD => (Level::Read, Some(told(world, action)?), None),
        LogLine::WORD | LogTable::WORD | Sleep::WORD => (Level::Rendered, Some(Value::Null), None),
        word => return Err(unknown_word(word)),
    };
    Ok(Previewed { level, value, by_hand: Vec::new(), notes: note.map(str::to_owned).into_iter().collect() })
}

fn time(world: &World) -> Value {
    world.clock.now().to_rfc3339_opts(SecondsFormat::Micros, true).into()
}

/// A time in UTC, by this host's clock, and from now on: whoever reads it in the night sees a wrong zone in one of them.
fn told(world: &World, action: &Action) -> Result<Value, Fault> {
    let at = TimeTold::of(action)?.at;
    let time = DateTime::parse_from_rfc3339(&at)
        .map_err(|_| Fault::fatal("moment.time", format!("`{at}` is no time with its zone")))?;
    let seconds = (world.clock.now() - time.with_timezone(&Utc)).num_seconds();
    let (apart, side) = (seconds.unsigned_abs(), if seconds < 0 { "from now" } else { "ago" });
    let length = match apart {
        0..120 => format!("{apart} seconds"),
        120..7200 => format!("{} minutes", apart / 60),
        7200..172_800 => format!("{} hours {} minutes", apart / 3600, apart % 3600 / 60),
        _ => format!("{} days {} hours", apart / 86_400, apart % 86_400 / 3600),
    };
    let utc = time.with_timezone(&Utc).format("%F %T%.f UTC");
    let local = time.with_timezone(&chrono::Local);
    let here = if local.offset().local_minus_utc() == 0 {
        String::new()
    } else {
        format!("here {}, ", local.format("%F %T %:z"))
    };
    Ok(format!("{utc} ({here}{length} {side})").into())
}

fn variable(world: &World, action: &Action) -> Result<Value, Fault> {
    let name = EnvVar::of(action)?.name;
    let value = world.environment.get(&name).ok_or_else(|| {
        Fault::fatal("env.missing", format!("the variable `{name}` is not set"))
            .hinted(format!("set `{name}` in the environment or in one of the project's `.env` files"))
    })?;
    Ok(world.vault.keep(&format!("env:{name}"), value).into())
}

fn password(world: &World, length: u64) -> String {
    let mut bytes = vec![0u8; usize::try_from(length).unwrap_or_default()];
    world.clock.random(&mut bytes);
    bytes.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 64)])).collect()
}

fn password_length(action: &Action) -> Result<u64, Fault> {
    let length = RandomPassword::of(action)?.length;
    if PASSWORD_LENGTHS.contains(&length) {
        return Ok(length);
    }
    let (least, most) = (PASSWORD_LENGTHS.start(), PASSWORD_LENGTHS.end());
    Err(Fault::fatal("random.length", format!("a password has {least} to {most} characters, not {length}")))
}

fn unknown_word(word: &str) -> Fault {
    Fault::fatal("action.word", format!("`{word}` is not a word of this host"))
}

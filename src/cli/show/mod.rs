//! How runs, endings and plans look at a terminal.

mod ending;
mod plan;
mod terminal;

pub use ending::Closing;
pub use plan::{full, render};
pub use terminal::Terminal;

/// So many things, in the plural unless it is one: `1 run`, `3 runs`.
pub fn count(many: usize, thing: &str) -> String {
    format!("{many} {thing}{}", if many == 1 { "" } else { "s" })
}

/// A length of time as people read it: `85 ms`, `3.2 s`, `12 min 5 s`, `3 h 2 min`.
pub fn duration(seconds: f64) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "rounded for people, and never negative"
    )]
    let whole = seconds.max(0.0).round() as u64;
    match whole {
        _ if seconds < 1.0 => format!("{:.0} ms", seconds * 1000.0),
        _ if seconds < 60.0 => format!("{seconds:.1} s"),
        60..3600 => format!("{} min {} s", whole / 60, whole % 60),
        3600..86_400 => format!("{} h {} min", whole / 3600, whole % 3600 / 60),
        _ => format!("{} d {} h", whole / 86_400, whole % 86_400 / 3600),
    }
}

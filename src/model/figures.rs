//! Counts, sizes and times as people read them.

/// So many things: `1 run`, `3 runs`, `2 entries`.
pub fn count(number: u64, thing: &str) -> String {
    match (number, thing.strip_suffix('y')) {
        (1, _) => format!("1 {thing}"),
        (_, Some(beginning)) => format!("{number} {beginning}ies"),
        _ => format!("{number} {thing}s"),
    }
}

/// Bytes in the units of PostgreSQL and of parameters, each 1,024 of the one below: `8 kB`, `3.2 MB`, `1.5 GB`.
pub fn size(bytes: u64) -> String {
    const KB: u64 = 1 << 10;
    const MB: u64 = 1 << 20;
    const GB: u64 = 1 << 30;
    #[expect(clippy::cast_precision_loss, reason = "shown with one digit behind the point")]
    let of = |unit: u64| bytes as f64 / unit as f64;
    match bytes {
        GB.. => format!("{:.1} GB", of(GB)),
        MB.. => format!("{:.1} MB", of(MB)),
        _ => format!("{:.0} kB", of(KB).ceil()),
    }
}

/// A length of time: `85 ms`, `3.2 s`, `12 min 5 s`, `3 h 2 min`.
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

/// The same of milliseconds.
pub fn millis(ms: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "nothing takes 2^53 milliseconds")]
    duration(ms as f64 / 1000.0)
}

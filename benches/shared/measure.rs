//! Rounds, medians, and whether a bar is met.

/// The times of several things that take turns.
pub struct Rounds {
    title: String,
    /// In the order in which they were first measured.
    times: Vec<(String, Vec<f64>)>,
}

impl Rounds {
    pub fn new(title: &str) -> Self {
        eprintln!("{title} …");
        Self { title: title.to_owned(), times: Vec::new() }
    }

    /// Adds one time, in seconds.
    pub fn add(&mut self, what: &str, seconds: f64) {
        match self.times.iter_mut().find(|(name, _)| name == what) {
            Some((_, times)) => times.push(seconds),
            None => self.times.push((what.to_owned(), vec![seconds])),
        }
    }

    fn of(&self, what: &str) -> &[f64] {
        let found = self.times.iter().find(|(name, _)| name == what);
        &found.unwrap_or_else(|| panic!("`{what}` was not measured")).1
    }

    pub fn median(&self, what: &str) -> f64 {
        median(self.of(what))
    }

    /// The median of the ratios within each round: what slows one round down slows both sides of it.
    pub fn ratio(&self, ours: &str, peer: &str) -> f64 {
        let rounds = self.of(ours).iter().zip(self.of(peer));
        median(&rounds.map(|(ours, peer)| ours / peer).collect::<Vec<_>>())
    }

    /// The same for what the long one takes over the short one, so that starting is left out on both sides.
    pub fn ratio_of_growth(&self, ours: (&str, &str), peer: (&str, &str)) -> f64 {
        let growth = |(short, long): (&str, &str)| -> Vec<f64> {
            self.of(long).iter().zip(self.of(short)).map(|(long, short)| long - short).collect()
        };
        let rounds = growth(ours).into_iter().zip(growth(peer));
        median(&rounds.map(|(ours, peer)| ours / peer).collect::<Vec<_>>())
    }

    pub fn print(&self) {
        println!("{}", self.title);
        for (name, times) in &self.times {
            let least = times.iter().copied().fold(f64::INFINITY, f64::min);
            let most = times.iter().copied().fold(0.0, f64::max);
            println!("  {name:<36} median {:>9.4} s  ({least:.4} to {most:.4}, n = {})", median(times), times.len());
        }
    }
}

/// The middle one.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len().is_multiple_of(2) { f64::midpoint(sorted[middle - 1], sorted[middle]) } else { sorted[middle] }
}

/// Every bar, met or missed.
#[derive(Default)]
pub struct Bars {
    lines: Vec<String>,
}

impl Bars {
    /// A ratio to a peer.
    pub fn ratio(&mut self, what: &str, ratio: f64, most: f64) {
        self.judge(what, ratio, most);
    }

    /// A figure with a limit of its own, which says something of this machine only.
    pub fn at_most(&mut self, what: &str, figure: f64, most: f64) {
        self.judge(what, figure, most);
    }

    fn judge(&mut self, what: &str, found: f64, most: f64) {
        let verdict =
            if found <= most { "met   ".to_owned() } else { format!("MISSED, {:.2} times the bar:", found / most) };
        self.lines.push(format!("{verdict} {what}: {found:.3} (at most {most})"));
    }

    /// What the bar above must be read with.
    pub fn note(&mut self, text: &str) {
        self.lines.push(format!("         {text}"));
    }

    /// A bar that could not be measured here.
    pub fn skipped(&mut self, what: &str, why: &str) {
        self.lines.push(format!("NOT MEASURED {what}: {why}"));
    }

    pub fn print(&self) {
        println!("\nbars");
        for line in &self.lines {
            println!("  {line}");
        }
    }
}

//! A lexer of PostgreSQL's SQL, just deep enough to know where a value may stand and where a statement ends.
//!
//! `'{{ x }}'` is injectable: the value is quoted as a literal, and the quotes around it close that literal. So a
//! placeholder stands only where a token may stand. The same lexer reads a template before it is rendered, where
//! it finds `{{ … }}`, and the rendered text, where it finds each value between two marks; the second pass holds
//! whatever the template's logic did.

/// Opens a rendered value, until it is checked.
pub(crate) const MARK_OPEN: char = '\u{F0010}';
/// Closes a rendered value.
pub(crate) const MARK_CLOSE: char = '\u{F0011}';

/// What a token is, without its text where that may come from a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A keyword or a bare name, in upper case.
    Word(String),
    /// A number.
    Number,
    /// A string literal of any kind.
    Literal,
    /// A name in double quotes.
    QuotedName,
    /// A placeholder or a value.
    Value,
    /// Any other character.
    Symbol(char),
}

/// Why SQL is refused, and the byte at which it goes wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// In one sentence.
    pub message: String,
    /// Byte offset in the text that was read.
    pub at: usize,
}

/// A token and its place.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub shape: Shape,
    pub start: usize,
    pub end: usize,
}

/// The shapes of the tokens of rendered SQL.
pub fn shape(sql: &str) -> Result<Vec<Shape>, Refused> {
    lex(sql, false).map(|tokens| tokens.into_iter().map(|token| token.shape).collect())
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    /// Whether `{{ }}` and `{% %}` count: in a template, not in what it was rendered to.
    template: bool,
    /// The character before, across tags, which vanish when rendered.
    before: Option<char>,
    /// Whether the last token was a value with nothing after it yet.
    after_value: bool,
    tokens: Vec<Token>,
}

/// The tokens of SQL; comments are left away.
pub(crate) fn lex(text: &str, template: bool) -> Result<Vec<Token>, Refused> {
    if let Some(at) = text.find('\0') {
        return Err(Refused { message: "SQL text holds a NUL character".into(), at });
    }
    let mut lexer = Lexer { text, at: 0, template, before: None, after_value: false, tokens: Vec::new() };
    while lexer.at < text.len() {
        lexer.step()?;
    }
    Ok(lexer.tokens)
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '$' || !c.is_ascii()
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\u{b}' | '\u{c}')
}

impl Lexer<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn refuse<T>(&self, message: impl Into<String>, at: usize) -> Result<T, Refused> {
        Err(Refused { message: message.into(), at })
    }

    fn push(&mut self, shape: Shape, start: usize) {
        self.before = self.text[start..self.at].chars().next_back();
        self.after_value = shape == Shape::Value;
        self.tokens.push(Token { shape, start, end: self.at });
    }

    fn step(&mut self) -> Result<(), Refused> {
        let start = self.at;
        let Some(first) = self.rest().chars().next() else { return Ok(()) };
        if self.template && self.rest().starts_with(['{']) && self.tag(start)? {
            return Ok(());
        }
        if !self.template && first == MARK_OPEN {
            return self.value(start, MARK_CLOSE, first.len_utf8(), MARK_CLOSE.len_utf8());
        }
        if self.after_value && (is_name(first) || matches!(first, '\'' | '"')) {
            return self.refuse("a value must not touch the text behind it: put a space or an operator between", start);
        }
        if is_space(first) {
            self.at += first.len_utf8();
            self.before = Some(' ');
            self.after_value = false;
            return Ok(());
        }
        if self.rest().starts_with("--") {
            let length = self.rest().find(['\n', '\r']).unwrap_or(self.rest().len());
            return self.comment(start, start + length);
        }
        if self.rest().starts_with("/*") {
            let end = self.block_comment(start)?;
            return self.comment(start, end);
        }
        match first {
            '\'' => {
                let last = self.tokens.last();
                let prefix = last.filter(|token| token.end == start).map(|token| &self.text[token.start..token.end]);
                let escapes = prefix.is_some_and(|prefix| prefix.eq_ignore_ascii_case("e"));
                let coded = self.text[..start].ends_with("u&") || self.text[..start].ends_with("U&");
                self.quoted(start, '\'', escapes, "a string")?;
                self.push(Shape::Literal, start);
                if escapes || coded {
                    self.no_continuation()?;
                }
            }
            '"' => {
                self.quoted(start, '"', false, "a quoted name")?;
                self.push(Shape::QuotedName, start);
            }
            '$' if self.dollar_quote(start)? => self.push(Shape::Literal, start),
            c if c.is_ascii_digit() => {
                let number = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
                // `1..10` is a number, then dots.
                let mut length = self.rest().find(|c| !number(c)).unwrap_or(self.rest().len());
                if let Some(dots) = self.rest()[..length].find("..") {
                    length = dots;
                }
                self.at += length.max(1);
                self.push(Shape::Number, start);
            }
            c if is_name(c) && c != '$' => {
                let length = self.rest().find(|c| !is_name(c) || c == MARK_OPEN || c == MARK_CLOSE);
                self.at += length.unwrap_or(self.rest().len()).max(c.len_utf8());
                let word = self.text[start..self.at].to_ascii_uppercase();
                self.push(Shape::Word(word), start);
            }
            c => {
                self.at += c.len_utf8();
                self.push(Shape::Symbol(c), start);
            }
        }
        Ok(())
    }

    /// A placeholder, a tag or a template's comment; false when the brace is a brace.
    fn tag(&mut self, start: usize) -> Result<bool, Refused> {
        let close = match self.rest().get(..2) {
            Some("{{") => "}}",
            Some("{%") => "%}",
            Some("{#") => "#}",
            _ => return Ok(false),
        };
        // Behind the opening: in `{%}` the two would share a sign.
        let Some(length) = self.rest()[2..].find(close).map(|at| at + 2) else {
            return self.refuse(format!("`{}` without its `{close}`", &self.rest()[..2]), start);
        };
        let inside = self.rest()[2..length].to_owned();
        if inside.starts_with(['-', '+']) || inside.ends_with(['-', '+']) {
            return self.refuse("whitespace control (`{{-`, `-%}`) is not allowed: it would glue SQL together", start);
        }
        if close == "}}" {
            self.value_allowed(start)?;
            self.at += length + 2;
            self.push(Shape::Value, start);
            self.before = Some(MARK_CLOSE);
            return Ok(true);
        }
        let word = inside.split_whitespace().next().unwrap_or_default();
        if close == "%}" && !matches!(word, "if" | "elif" | "else" | "endif" | "for" | "endfor" | "set") {
            return self.refuse(format!("`{{% {word} %}}` is not allowed in SQL: only if, for and set are"), start);
        }
        self.at += length + 2;
        Ok(true)
    }

    fn value(&mut self, start: usize, close: char, open: usize, close_length: usize) -> Result<(), Refused> {
        self.value_allowed(start)?;
        let Some(length) = self.rest().find(close) else {
            return self.refuse("a value without its end", start);
        };
        if self.rest()[open..length].contains(MARK_OPEN) {
            return self.refuse("a value inside a value", start);
        }
        self.at += length + close_length;
        self.push(Shape::Value, start);
        Ok(())
    }

    fn value_allowed(&self, start: usize) -> Result<(), Refused> {
        let glued = self.after_value
            || self.before.is_some_and(|c| (is_name(c) && c != MARK_CLOSE) || matches!(c, '\'' | '"' | '&'));
        if glued {
            return self
                .refuse("a value must not touch the text before it: `E{{ x }}` would change how it is read", start);
        }
        Ok(())
    }

    fn comment(&mut self, start: usize, end: usize) -> Result<(), Refused> {
        self.no_holes(start, end, "a comment")?;
        self.at = end;
        self.before = Some(' ');
        self.after_value = false;
        Ok(())
    }

    fn block_comment(&self, start: usize) -> Result<usize, Refused> {
        let (mut depth, mut at) = (0usize, start);
        while at < self.text.len() {
            let rest = &self.text[at..];
            if rest.starts_with("/*") {
                depth += 1;
                at += 2;
            } else if rest.starts_with("*/") {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return Ok(at);
                }
            } else {
                at += rest.chars().next().map_or(1, char::len_utf8);
            }
        }
        self.refuse("a comment `/*` without its `*/`", start)
    }

    fn quoted(&mut self, start: usize, quote: char, escapes: bool, what: &str) -> Result<(), Refused> {
        let mut chars = self.text[start + 1..].char_indices().peekable();
        while let Some((offset, c)) = chars.next() {
            if escapes && c == '\\' {
                chars.next();
            } else if c == quote {
                if chars.peek().is_some_and(|(_, next)| *next == quote) {
                    chars.next();
                } else {
                    self.at = start + 1 + offset + 1;
                    return self.no_holes(start, self.at, what);
                }
            }
        }
        // A placeholder inside is the likelier mistake than a missing quote, and the worse one.
        self.no_holes(start, self.text.len(), what)?;
        self.refuse(format!("{what} without its closing {quote}"), start)
    }

    /// `$tag$ … $tag$`; false when the dollar begins something else, such as `$1`.
    fn dollar_quote(&mut self, start: usize) -> Result<bool, Refused> {
        let inner = &self.text[start + 1..];
        let Some(length) = inner.find('$') else { return Ok(false) };
        let tag = &inner[..length];
        let sound = tag.chars().all(|c| is_name(c) && c != '$') && !tag.starts_with(|c: char| c.is_ascii_digit());
        if !sound {
            return Ok(false);
        }
        let fence = format!("${tag}$");
        let body = start + fence.len();
        let Some(end) = self.text[body..].find(&fence) else {
            self.no_holes(start, self.text.len(), "a dollar quote")?;
            return self.refuse(format!("`{fence}` without its end"), start);
        };
        self.at = body + end + fence.len();
        self.no_holes(start, self.at, "a dollar quote")?;
        Ok(true)
    }

    fn no_holes(&self, start: usize, end: usize, what: &str) -> Result<(), Refused> {
        let inside = &self.text[start..end];
        let hole = if self.template {
            ["{{", "{%", "{#"].iter().filter_map(|tag| inside.find(tag)).min()
        } else {
            inside.find([MARK_OPEN, MARK_CLOSE])
        };
        match hole {
            Some(offset) => self.refuse(
                format!("a placeholder inside {what}: a value brings its own quotes, so it stands bare, as in `= {{{{ x }}}}`"),
                start + offset,
            ),
            None => Ok(()),
        }
    }

    /// PostgreSQL reads a string on the next line as the same string, escapes and all.
    fn no_continuation(&self) -> Result<(), Refused> {
        let mut rest = self.rest();
        loop {
            rest = rest.trim_start_matches(is_space);
            match rest.strip_prefix("--").and_then(|comment| comment.split_once(['\n', '\r'])) {
                Some((_, after)) => rest = after,
                None => break,
            }
        }
        let continued =
            rest.starts_with('\'') || rest.starts_with(MARK_OPEN) || (self.template && rest.starts_with('{'));
        if continued {
            return self.refuse("a string with escapes must not be followed by another string or a value", self.at);
        }
        Ok(())
    }
}

/// One statement of rendered SQL, and the words it is made of outside of quotes.
pub(crate) struct Statement {
    pub sql: String,
    pub words: Vec<String>,
}

/// Splits rendered SQL, marks included, at its top-level semicolons and refuses what would end our transaction.
pub(crate) fn statements(marked: &str) -> Result<Vec<Statement>, Refused> {
    split(marked, &lex(marked, false)?)
}

/// The same refusals for a template that is not rendered yet.
pub(crate) fn check_statements(template: &str) -> Result<(), Refused> {
    split(template, &lex(template, true)?).map(drop)
}

fn split(marked: &str, tokens: &[Token]) -> Result<Vec<Statement>, Refused> {
    let mut found = Vec::new();
    let (mut first, mut parens, mut body) = (0, 0usize, 0usize);
    for index in 0..=tokens.len() {
        let word = |at: usize| match tokens.get(at).map(|token| &token.shape) {
            Some(Shape::Word(word)) => word.as_str(),
            _ => "",
        };
        match tokens.get(index).map(|token| &token.shape) {
            Some(Shape::Symbol('(')) => parens += 1,
            Some(Shape::Symbol(')')) => parens = parens.saturating_sub(1),
            // A function's body in standard SQL holds semicolons of its own.
            Some(Shape::Word(_)) if word(index) == "BEGIN" && word(index + 1) == "ATOMIC" && index > first => body += 1,
            Some(Shape::Word(_)) if body > 0 && word(index) == "CASE" => body += 1,
            Some(Shape::Word(_)) if body > 0 && word(index) == "END" => body -= 1,
            Some(Shape::Symbol(';')) if parens == 0 && body == 0 => {
                finish(marked, &tokens[first..index], &mut found)?;
                first = index + 1;
            }
            None => finish(marked, tokens.get(first..index).unwrap_or_default(), &mut found)?,
            _ => {}
        }
    }
    Ok(found)
}

fn finish(marked: &str, tokens: &[Token], found: &mut Vec<Statement>) -> Result<(), Refused> {
    let (Some(head), Some(tail)) = (tokens.first(), tokens.last()) else { return Ok(()) };
    let words: Vec<String> = tokens
        .iter()
        .filter_map(|token| match &token.shape {
            Shape::Word(word) => Some(word.clone()),
            _ => None,
        })
        .collect();
    let refuse = |message: String| Err(Refused { message, at: head.start });
    let second = words.get(1).map_or("", String::as_str);
    let verb = match &head.shape {
        Shape::Word(word) => word.as_str(),
        _ => "",
    };
    let control = matches!(verb, "BEGIN" | "COMMIT" | "END" | "ROLLBACK" | "SAVEPOINT" | "RELEASE" | "ABORT")
        || (verb == "START" && second == "TRANSACTION")
        || (verb == "PREPARE" && second == "TRANSACTION");
    if control {
        return refuse(format!(
            "`{verb}` is transaction control: sql::exec runs its statements in one transaction itself"
        ));
    }
    if verb == "COPY" && words.windows(2).any(|pair| pair[0] == "FROM" && pair[1] == "STDIN") {
        return refuse("COPY … FROM STDIN has no input here: insert the rows, or run psql with command::run".into());
    }
    let sql = marked[head.start..tail.end].replace([MARK_OPEN, MARK_CLOSE], "");
    found.push(Statement { sql, words });
    Ok(())
}

//! One call of a word: its arguments as plain data, its place, and the door it acts through.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

#[expect(deprecated, reason = "marked volatile by rhai, whose version is pinned")]
use rhai::NativeCallContextStore;
use rhai::{Dynamic, EvalAltResult, FnPtr, ImmutableString, NativeCallContext};

use super::super::convert::{self, kind};
use super::super::script::Book;
use super::super::sql_text::{Rendered, SqlText};
use super::super::unknown::Unknown;
use super::super::{declare, failure, frames, param, stage};
use super::{Entry, Word, did_you_mean};
use crate::model::action::Action;
use crate::model::fault::Stop;
use crate::model::host::{Host, Lanes};
use crate::model::{Value, secret};

/// An error on its way through a script.
pub(crate) type Error = Box<EvalAltResult>;
/// What a word answers.
pub(crate) type Answer = Result<Dynamic, Error>;

/// One call of a word.
pub(crate) struct Call<'a> {
    pub context: &'a NativeCallContext<'a>,
    pub entry: &'static Entry,
    pub book: &'a Arc<Book>,
    args: Vec<Dynamic>,
}

impl<'a> Call<'a> {
    pub fn new(
        context: &'a NativeCallContext<'a>,
        entry: &'static Entry,
        args: &mut [&mut Dynamic],
        book: &'a Arc<Book>,
    ) -> Self {
        Self { context, entry, book, args: args.iter_mut().map(|arg| std::mem::take(*arg).flatten()).collect() }
    }

    pub fn run(&self) -> Answer {
        (self.entry.run)(self).map_err(|mut error| {
            if error.position().is_none() {
                error.set_position(self.context.call_position());
            }
            error
        })
    }

    pub fn word(&self) -> &'static Word {
        &self.entry.word
    }

    /// How many arguments there are.
    pub fn len(&self) -> usize {
        self.args.len()
    }

    /// An error in how the word is used, naming the word.
    pub fn misuse(&self, message: impl std::fmt::Display) -> Error {
        failure::misuse_hinted(format!("{}: {message}", self.word().name), format!("it is {}", self.word().signature))
    }

    /// The argument as the script has it; nothing where it was left away.
    pub fn arg(&self, index: usize) -> Dynamic {
        self.args.get(index).cloned().unwrap_or_default()
    }

    fn name(&self, index: usize) -> &'static str {
        self.word().params.get(index).map_or("argument", |param| param.name)
    }

    /// What an unknown argument waits for.
    pub fn unknown(&self, index: usize) -> Option<Unknown> {
        self.args.get(index).and_then(Unknown::within)
    }

    /// The argument as plain data; nothing where it was left away.
    pub fn value(&self, index: usize) -> Result<Value, Error> {
        convert::to_value(&self.arg(index)).map_err(|why| self.misuse(format!("`{}`: {why}", self.name(index))))
    }

    /// The argument as text. Something unknown comes as its handle.
    pub fn text(&self, index: usize) -> Result<String, Error> {
        match self.value(index)? {
            Value::String(text) if text.contains('\0') => {
                Err(self.misuse(format!("`{}` holds a NUL character", self.name(index))))
            }
            Value::String(text) => Ok(text),
            _ => Err(self.misuse(format!("`{}` must be text, not {}", self.name(index), kind(&self.arg(index))))),
        }
    }

    /// The argument as a finite number.
    pub fn number(&self, index: usize) -> Result<f64, Error> {
        let value = self.arg(index);
        #[expect(clippy::cast_precision_loss, reason = "seconds and counts, far below 2^53")]
        let number = value.as_float().or_else(|_| value.as_int().map(|number| number as f64));
        number
            .ok()
            .filter(|number| number.is_finite())
            .ok_or_else(|| self.misuse(format!("`{}` must be a number, not {}", self.name(index), kind(&value))))
    }

    /// A length of time: a number of seconds, or text such as `10m`.
    pub fn seconds(&self, index: usize) -> Result<f64, Error> {
        seconds(&self.arg(index)).map_err(|why| self.misuse(format!("`{}`: {why}", self.name(index))))
    }

    /// The argument as a closure.
    pub fn closure(&self, index: usize) -> Result<FnPtr, Error> {
        self.arg(index).try_cast::<FnPtr>().ok_or_else(|| {
            self.misuse(format!("`{}` must be a closure `|| …`, not {}", self.name(index), kind(&self.arg(index))))
        })
    }

    /// Values for a template: a map, or nothing.
    pub fn args(&self, index: usize) -> Result<Value, Error> {
        match self.value(index)? {
            Value::Null => Ok(Value::Object(serde_json::Map::new())),
            map @ Value::Object(_) => Ok(map),
            _ => Err(self.misuse(format!("`args` must be a map `#{{ … }}`, not {}", kind(&self.arg(index))))),
        }
    }

    /// The options map; a key that is not among `known` is refused.
    pub fn options(&self, index: usize, known: &'static [&'static str]) -> Result<Options<'_, 'a>, Error> {
        let given = self.arg(index);
        let mut values = BTreeMap::new();
        if let Some(map) = given.read_lock::<rhai::Map>() {
            for (key, value) in map.iter() {
                if !known.contains(&key.as_str()) {
                    let known: Vec<String> = known.iter().map(ToString::to_string).collect();
                    return Err(self.misuse(format!("there is no option `{key}`{}", did_you_mean(key, &known))));
                }
                values.insert(key.to_string(), value.clone());
            }
        } else if !given.is_unit() {
            return Err(self.misuse(format!("options must be a map `#{{ … }}`, not {}", kind(&given))));
        }
        Ok(Options { call: self, values })
    }

    /// SQL as text of the source, a template or `sql::raw`, with its values.
    pub fn sql(&self, text: usize, args: usize) -> Result<Rendered, Error> {
        self.sql_of(&self.arg(text), &self.args(args)?)
    }

    /// The same of something that is no argument of its own.
    pub fn sql_of(&self, given: &Dynamic, values: &Value) -> Result<Rendered, Error> {
        let sql = if let Some(sql) = given.read_lock::<SqlText>() {
            sql.clone()
        } else if let Some(literal) = given.read_lock::<ImmutableString>() {
            SqlText::literal(&literal, self.book).ok_or_else(|| {
                failure::misuse_hinted(
                    format!("{}: the SQL was joined or interpolated in the runbook", self.word().name),
                    "write it as one literal and give the values as args: sql::query(t, \"… where id = {{ id }}\", #{ id: 7 }); or say why not with sql::raw(text, why)",
                )
            })?
        } else {
            return Err(self.misuse(format!("the SQL must be text or template(\"x.sql\"), not {}", kind(given))));
        };
        sql.render(values).map_err(|error| match error.after {
            Some(step) => Unknown::new(step).stop(),
            None => {
                let place = match (&sql.file, error.line, error.column) {
                    (Some(file), 0, _) => format!("{file}: "),
                    (Some(file), line, 0) => format!("{file}:{line}: "),
                    (Some(file), line, column) => format!("{file}:{line}:{column}: "),
                    (None, line, _) if line > 1 => format!("line {line} of the SQL: "),
                    _ => String::new(),
                };
                failure::template(format!("{place}{}", error.message), sql.file.as_deref(), error.line, error.column)
            }
        })
    }

    /// Answers SQL text.
    #[expect(clippy::unused_self, reason = "so that vocabulary files need not name the script engine")]
    pub fn wrap(&self, sql: SqlText) -> Dynamic {
        Dynamic::from(sql)
    }

    /// Answers plain data.
    pub fn give(&self, value: &Value) -> Answer {
        Ok(convert::from_value(value))
    }

    /// The door; an error outside of a step.
    pub fn host(&self) -> Result<Arc<dyn Host>, Error> {
        stage::host().ok_or_else(|| {
            failure::misuse_hinted(
                format!("`{}` acts on the world, and the top level of a runbook only declares", self.word().name),
                "put it into a step: step(\"name\", || …);",
            )
        })
    }

    /// Passes an action through the door.
    pub fn perform(&self, mut action: Action) -> Result<Value, Error> {
        let host = self.host()?;
        action.at = Some(declare::here(self.context, self.book));
        host.perform(action).map_err(failure::stop)
    }

    /// Calls a closure on this thread.
    pub fn call(&self, closure: &FnPtr, args: Vec<Value>) -> Answer {
        closure.call_raw(self.context, None, args.iter().map(convert::from_value).collect::<Vec<_>>())
    }

    /// Calls a closure for each item, each in a lane of its own.
    pub fn each(&self, lanes: &Lanes, closure: &FnPtr, items: &[Value]) -> Result<Vec<Value>, Error> {
        let body = declare::keep(self, closure.clone(), 1)?;
        #[expect(deprecated, reason = "marked volatile by rhai, whose version is pinned")]
        let env: NativeCallContextStore = self.context.store_data();
        let engine = self.context.engine();
        // What stopped each lane, kept whole: the door carries only the reason, not the chain of calls.
        let stopped: Mutex<Vec<(Stop, Error)>> = Mutex::default();
        let lane = |index: usize, host: Arc<dyn Host>| -> Result<Value, Stop> {
            let _entered = stage::enter(host);
            #[expect(deprecated, reason = "marked volatile by rhai, whose version is pinned")]
            let context = env.create_context(engine);
            let args: Vec<Dynamic> = items.get(index).into_iter().take(body.takes).map(convert::from_value).collect();
            let result = body.closure.call_raw(&context, None, args).and_then(|value| {
                convert::to_value(&value).map_err(|why| failure::misuse(format!("what the lane answers: {why}")))
            });
            result.map_err(|error| {
                let stop = frames::stop(&error);
                stopped.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push((stop.clone(), error));
                stop
            })
        };
        self.host()?.each(lanes, &lane).map_err(|stop| {
            let kept = stopped
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner)
                .drain(..)
                .find(|(known, _)| *known == stop);
            kept.map_or_else(|| failure::stop(stop), |(_, error)| error)
        })
    }
}

fn seconds(value: &Dynamic) -> Result<f64, String> {
    #[expect(clippy::cast_precision_loss, reason = "seconds, far below 2^53")]
    let number = value.as_float().ok().or_else(|| value.as_int().ok().map(|number| number as f64));
    let text = || value.read_lock::<ImmutableString>().and_then(|text| param::duration(&text));
    number
        .or_else(text)
        .filter(|seconds| seconds.is_finite() && *seconds >= 0.0)
        .ok_or_else(|| format!("a duration is a number of seconds or text such as \"10m\", not {}", kind(value)))
}

/// The options of one call.
pub(crate) struct Options<'c, 'a> {
    call: &'c Call<'a>,
    values: BTreeMap<String, Dynamic>,
}

impl Options<'_, '_> {
    fn wrong<T>(&self, key: &str, wanted: &str) -> Result<T, Error> {
        let given = self.values.get(key).cloned().unwrap_or_default();
        Err(self.call.misuse(format!("option `{key}` must be {wanted}, not {}", kind(&given))))
    }

    /// The option as plain data, unless it is missing or `()`.
    pub fn value(&self, key: &str) -> Result<Option<Value>, Error> {
        let Some(given) = self.values.get(key).filter(|value| !value.is_unit()) else { return Ok(None) };
        if let Some(later) = Unknown::of(given)
            && given.is::<Unknown>()
        {
            return Err(later.stop());
        }
        convert::to_value(given).map(Some).map_err(|why| self.call.misuse(format!("option `{key}`: {why}")))
    }

    pub fn text(&self, key: &str) -> Result<Option<String>, Error> {
        match self.value(key)? {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => self.wrong(key, "text"),
        }
    }

    /// An option as text, where something unknown comes as its handle.
    pub fn handle(&self, key: &str) -> Result<Option<String>, Error> {
        let given = self.values.get(key).filter(|value| value.is::<Unknown>());
        match given.and_then(Unknown::of) {
            Some(_) => Ok(given.and_then(|value| convert::to_value(value).ok()?.as_str().map(str::to_owned))),
            None => self.text(key),
        }
    }

    pub fn flag(&self, key: &str) -> Result<bool, Error> {
        match self.value(key)? {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(flag),
            Some(_) => self.wrong(key, "true or false"),
        }
    }

    pub fn whole(&self, key: &str) -> Result<Option<u64>, Error> {
        match self.value(key)? {
            None => Ok(None),
            Some(value) => value.as_u64().map_or_else(|| self.wrong(key, "a whole number"), |number| Ok(Some(number))),
        }
    }

    pub fn number(&self, key: &str) -> Result<Option<f64>, Error> {
        match self.value(key)? {
            None => Ok(None),
            Some(value) => value.as_f64().map_or_else(|| self.wrong(key, "a number"), |number| Ok(Some(number))),
        }
    }

    pub fn seconds(&self, key: &str) -> Result<Option<f64>, Error> {
        let Some(given) = self.values.get(key).filter(|value| !value.is_unit()) else { return Ok(None) };
        seconds(given).map(Some).map_err(|why| self.call.misuse(format!("option `{key}`: {why}")))
    }

    /// A list of texts; one text counts as a list of one.
    pub fn texts(&self, key: &str) -> Result<Option<Vec<String>>, Error> {
        match self.value(key)? {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(vec![text])),
            Some(Value::Array(items)) => {
                let texts: Option<Vec<String>> = items.iter().map(|item| item.as_str().map(str::to_owned)).collect();
                texts.map_or_else(|| self.wrong(key, "a list of texts"), |texts| Ok(Some(texts)))
            }
            Some(_) => self.wrong(key, "a list of texts"),
        }
    }

    /// A map whose values need not be plain data.
    pub fn map(&self, key: &str) -> Result<Vec<(String, Dynamic)>, Error> {
        let Some(given) = self.values.get(key) else { return Ok(Vec::new()) };
        match given.read_lock::<rhai::Map>() {
            Some(map) => Ok(map.iter().map(|(key, value)| (key.to_string(), value.clone())).collect()),
            None => self.wrong(key, "a map"),
        }
    }

    /// The option as the script has it, unless it is missing or `()`.
    pub fn given(&self, key: &str) -> Option<Dynamic> {
        self.values.get(key).filter(|value| !value.is_unit()).cloned()
    }

    pub fn closure(&self, key: &str) -> Option<FnPtr> {
        self.values.get(key).and_then(|value| value.clone().try_cast::<FnPtr>())
    }

    /// The name of a function of the runbook, given as text.
    pub fn function(&self, key: &str) -> Result<Option<String>, Error> {
        let name = self.text(key)?;
        if let Some(name) = &name
            && self.call.book.params_of(name).is_none()
        {
            return Err(self
                .call
                .misuse(format!("option `{key}`: the runbook has no function `{name}`: write `fn {name}() {{ … }}`")));
        }
        Ok(name)
    }
}

/// One line for people, at most 80 characters, without handles.
pub(crate) fn title(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let line = crate::model::unknown::readable(&secret::readable(&line));
    let line = crate::model::shown::in_a_line(&line);
    if line.chars().count() <= 80 {
        return line;
    }
    line.chars().take(79).chain(['…']).collect()
}

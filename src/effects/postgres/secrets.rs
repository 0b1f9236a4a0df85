//! Secrets in SQL: a server may log every statement, so the only one that gets in is a password's SCRAM verifier.

use crate::effects::scram;
use crate::model::fault::Fault;
use crate::model::secret::{self, CLOSE, OPEN, Vault};

/// Ends the name in a handle that stands for the verifier of a password.
const SCRAM: &str = "|scram";

/// SQL with each password's handle replaced by a verifier made here. A plain handle is refused.
pub fn open(vault: &Vault, sql: &str) -> Result<String, Fault> {
    replace(sql, |name| Ok(scram::verifier(vault, &vault.open(&secret::handle(name))?)))
}

/// The same with text that stands in for the verifier, for a preview that opens no secret.
pub fn stand_in(sql: &str) -> Result<String, Fault> {
    replace(sql, |_| Ok("SCRAM-SHA-256$".to_owned()))
}

fn replace(sql: &str, verifier: impl Fn(&str) -> Result<String, Fault>) -> Result<String, Fault> {
    let mut opened = String::with_capacity(sql.len());
    let mut rest = sql;
    while let Some((before, after)) = rest.split_once(OPEN) {
        let (name, tail) = after
            .split_once(CLOSE)
            .ok_or_else(|| Fault::fatal("secret.cut", "a secret's handle was cut apart by text functions"))?;
        let password = name.strip_suffix(SCRAM).filter(|_| before.ends_with('\'') && tail.starts_with('\''));
        let Some(password) = password else {
            let name = name.strip_suffix(SCRAM).unwrap_or(name);
            return Err(Fault::fatal("secret.in-sql", format!("the secret `{name}` stands in SQL text, which servers write to their logs"))
                .hinted("set a password as `{{ secret | scram }}` does, without quotes around it: its verifier is computed here, and the password never leaves"));
        };
        opened.push_str(before);
        opened.push_str(&verifier(password)?);
        rest = tail;
    }
    opened.push_str(rest);
    Ok(opened)
}

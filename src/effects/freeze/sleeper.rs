//! The second line: a session that sleeps on the server and releases the database by itself at the deadline, for the case
//! that engine, watchdog and their whole host are gone. It ends as soon as the freeze is over.

use std::time::Duration;

use super::ground;
use crate::effects::postgres::connect::Session;
use crate::effects::postgres::quote;
use crate::model::fault::Fault;

/// Settings that would end a session which waits long; some are unknown to older servers.
const PATIENT: [&str; 8] = [
    "default_transaction_read_only = off",
    "statement_timeout = 0",
    "lock_timeout = 0",
    "idle_in_transaction_session_timeout = 0",
    "idle_session_timeout = 0",
    "client_connection_check_interval = 0",
    "transaction_timeout = 0",
    "default_transaction_isolation = 'read committed'",
];

/// What fails, fails at once.
const BEGUN: Duration = Duration::from_millis(40);

/// Sends it to sleep, and looks whether it does.
pub async fn put(session: Session, schema: &str, token: &str) -> Result<(), Fault> {
    for setting in PATIENT {
        let _ = session.client.batch_execute(&format!("SET {setting}")).await;
    }
    let what = session.what("freeze::guard");
    let text = text(schema, token);
    // Whoever asked goes on; the session lives until its work is over, on the server even longer than this process.
    let mut sleeping = tokio::spawn(async move { session.client.batch_execute(&text).await });
    match tokio::time::timeout(BEGUN, &mut sleeping).await {
        Ok(Ok(Err(error))) => Err(ground::harmless(&error, &what)),
        _ => Ok(()),
    }
}

/// Sleeps in short transactions, so that nothing is held up by it, and looks each time whether it is over.
fn text(schema: &str, token: &str) -> String {
    let (schema, token) = (quote::name(schema), quote::literal(token));
    format!(
        "DO $sleeper$
         DECLARE state_now text; until timestamptz;
         BEGIN
             LOOP
                 SELECT state, deadline INTO state_now, until FROM {schema}.freeze WHERE token = {token};
                 IF state_now IS NULL OR state_now NOT IN ('guarded', 'armed') THEN RETURN; END IF;
                 EXIT WHEN clock_timestamp() >= until;
                 PERFORM pg_sleep(least(0.2, greatest(extract(epoch FROM until - clock_timestamp()), 0.01)));
                 COMMIT;
             END LOOP;
             PERFORM {schema}.freeze_lift({token}, 'sleeper', 'the deadline was reached');
             COMMIT;
             until := clock_timestamp();
             FOR pass IN 1..3 LOOP
                 PERFORM {schema}.freeze_thaw({token}, until);
                 COMMIT;
                 PERFORM pg_sleep(0.06);
             END LOOP;
         END $sleeper$"
    )
}

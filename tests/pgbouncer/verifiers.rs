//! Verifiers of passwords are computed here, and a server takes them for what they are.

use runsheet::effects::scram;

use super::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn a_password_of_any_script_logs_in_by_the_verifier_that_was_set() {
    let world = World::start("verifiers");
    let role = world.role("speaker");
    // Wide letters, a ligature, a soft hyphen and a wide space are written otherwise before they are hashed; a bell forbids that.
    for password in
        ["plain", "pässwörd-ß", "\u{ff50}\u{2168}\u{fb01} x", "so\u{ad}ft\u{a0}", "bell\u{7}\u{fb01}", "密码"]
    {
        world.secret("pw", password);
        world.set_password(&role, "pw").await;
        assert_eq!(world.direct(&role, password).as_deref(), Ok(role.as_str()), "{password:?}");
        assert!(world.direct(&role, "another").is_err());
        let set = world.database.sql(&format!("select rolpassword from pg_authid where rolname = '{role}'"));
        assert_eq!(set, scram::verifier(&world.effects.world().vault, password), "the same text every time");
    }
}

//! A rotation from its beginning to its end, there and back, taken back, and given up on.

use crate::support::rotation::Rotation;

#[test]
fn two_roles_take_turns_and_nobody_is_refused_at_any_moment() {
    let world = Rotation::up(&[]);
    world.attempts_more(5);
    for (old, new) in [("app_a", "app_b"), ("app_b", "app_a")] {
        assert_eq!(world.current(), old);
        let said = world.run(&["run", "credential-rotation", "grace=2s", "apart=0s"]).with_code(0);
        assert!(said.err.contains(&format!("the old login {old} is refused through the pooler")), "{}", said.err);
        world.attempts_more(10);
        assert_eq!((world.current(), world.last_role().as_str()), (new, new));
        let (login, comment) = ("rolcanlogin", "shobj_description(oid, 'pg_authid') like '%rotated by runsheet%'");
        let roles = world
            .admin()
            .sql(&format!("select rolname, {login} from pg_roles where rolname ~ '^app_[ab]$' order by {login}"));
        assert_eq!(roles, format!("{old}|f\n{new}|t"));
        assert_eq!(world.admin().sql(&format!("select {comment} from pg_roles where rolname = '{new}'")), "t");
    }
    assert_eq!(world.logins().1, Vec::<String>::new());
    world.run(&["run", "credential-rotation"]).with_code(3).saying("was not rotated within 12 h");
}

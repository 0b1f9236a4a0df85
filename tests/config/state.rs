//! The state folder.

use std::os::unix::fs::PermissionsExt;

use runsheet::cli::config::state;
use runsheet::effects::local::SystemClock;

fn mode(path: &std::path::Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn it_is_closed_to_others_ignored_by_git_and_keeps_its_key() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/.runsheet");
    let key = state::open(&path, &SystemClock).unwrap();
    assert_eq!(key.len(), 32);
    assert_ne!(key, vec![0; 32]);
    assert_eq!((mode(&path), mode(&path.join("key"))), (0o700, 0o600));
    assert_eq!(std::fs::read_to_string(path.join(".gitignore")).unwrap(), "*\n");
    assert_eq!(state::open(&path, &SystemClock).unwrap(), key);
    assert_eq!(std::fs::read_dir(&path).unwrap().count(), 2, "nothing is left lying about");
}

#[test]
fn processes_that_start_at_once_agree_on_one_key() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    let keys: Vec<Vec<u8>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| state::open(&path, &SystemClock))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap().unwrap_or_else(|error| panic!("{error}"))).collect()
    });
    assert!(keys.iter().all(|key| *key == keys[0]));
}

#[test]
fn an_exposed_or_damaged_key_is_refused_with_the_way_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    state::open(&path, &SystemClock).unwrap();
    std::fs::set_permissions(path.join("key"), PermissionsExt::from_mode(0o644)).unwrap();
    let error = state::open(&path, &SystemClock).unwrap_err();
    assert!(error.hint().unwrap().starts_with("`chmod 600 "), "{error}");
    std::fs::set_permissions(path.join("key"), PermissionsExt::from_mode(0o600)).unwrap();
    std::fs::write(path.join("key"), "short").unwrap();
    assert!(state::open(&path, &SystemClock).unwrap_err().to_string().contains("32 bytes long, and is 5"));
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    assert!(state::open(&file, &SystemClock).unwrap_err().hint().unwrap().contains("--state"));
}

//! The tests of the patches to the state server are in Python, beside it.

use std::path::Path;
use std::process::Command;

#[test]
fn mended_behaviours_are_as_on_aws() {
    let python = tagwire_local_aws::python().unwrap();
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("python");
    let run = Command::new(python)
        .args(["-m", "pytest", "-q", "--no-header"])
        .current_dir(tests)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success(), "{printed}\n{}", String::from_utf8_lossy(&run.stderr));
}

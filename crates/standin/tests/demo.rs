//! The demonstration is the smallest end-to-end test there is: it fails if anything is not as it says.

use std::process::Command;

#[test]
fn everything_holds() {
    let output = Command::new(env!("CARGO_BIN_EXE_standin")).arg("demo").output().expect("the binary was built");
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}\n{errors}");
    assert_eq!(text.matches('✓').count(), 11, "{text}");
    assert_eq!(text.matches('✗').count(), 0, "{text}");
}

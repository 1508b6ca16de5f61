//! The demonstration is the smallest end-to-end test there is: it fails if anything is not as it says.

use std::process::Command;

#[test]
fn everything_holds() {
    // ./test also runs this as another user, who has a copy of the binary.
    let program = std::env::var_os("STANDIN_TEST_BINARY").unwrap_or_else(|| env!("CARGO_BIN_EXE_standin").into());
    let output = Command::new(program).arg("demo").output().expect("the binary was built");
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}\n{errors}");
    assert_eq!(text.matches('✓').count(), 11, "{text}");
    assert_eq!(text.matches('✗').count(), 0, "{text}");
}

//! `standin demo`
use crate::exit::Failure;
use std::ffi::OsStr;
/// Role
pub(crate) fn hidden_role(_first: Option<&OsStr>) -> Option<fn() -> Result<i32, Failure>> {
    None
}
/// Demo
pub(crate) fn demo() -> Result<i32, Failure> {
    Err(Failure::new("not yet"))
}

//! Ways out of a sandbox, each as a real attempt, and the hostile rig that sees what gets out.
//!
//! Start with [`vector`], which says what an attempt is and what counts as evidence, then read a group of the
//! [`catalogue`]. [`stage`] puts the rig up in a private network and lets the [`agent`] try everything twice: as an
//! ordinary process, where an attempt must succeed to count, and in the sandbox, where it must not. [`verdict`] judges
//! by what was seen.
//!
//! Nothing here knows how the sandbox is made: it is started as anybody starts it. Attempts touch what the rig made and
//! nothing else, so that they are harmless where they succeed.

pub mod agent;
pub mod catalogue;
mod dial;
mod forms;
mod outside;
mod rig;
mod scene;
pub mod stage;
#[expect(unsafe_code, reason = "attacks are system calls; see each")]
mod sys;
mod terminal;
pub mod vector;
pub mod verdict;

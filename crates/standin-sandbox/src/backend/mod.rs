//! Other programs that isolate: where in the way in each has its place.
//!
//! Nothing of the plan, the network or the doors is made anew for one. Who makes namespaces ([`bubblewrap`]) comes before our first
//! process, who runs the command ([`gvisor`]) after our last step.

pub(crate) mod bubblewrap;
pub mod gvisor;

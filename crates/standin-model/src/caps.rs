//! How much a session may use, so that a leak through an allowed door is a small one.

/// Bounds of one session: in all, and for each host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionCaps {
    /// For everything together.
    pub session: Caps,
    /// For each host by itself.
    pub each_host: Caps,
}

/// What is bounded. `None` means that it is not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caps {
    /// Requests that are sent.
    pub requests: Option<u64>,
    /// Bytes of request bodies.
    pub bytes_out: Option<u64>,
    /// Connections that are open at once.
    pub connections: Option<u64>,
}

//! What a command may do to the caller's terminal besides showing text.

/// Something that is held back unless the user lets it through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TerminalFeature {
    /// Put text on the clipboard (OSC 52). Reading it is never let through.
    Clipboard,
    /// Set the window's title (OSC 0, 1, 2 and `ESC k`), and save and restore it.
    Title,
    /// Show desktop notifications (OSC 9 and 777).
    Notifications,
    /// Change the terminal's colours for good (OSC 4, 10, 11, 12). Asking for them and setting them back is let through.
    Palette,
}

/// No feature has this name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a terminal's features are clipboard, title, notifications and palette")]
pub struct UnknownTerminalFeature;

impl TerminalFeature {
    /// Reads a name.
    pub fn parse(name: &str) -> Result<Self, UnknownTerminalFeature> {
        match name {
            "clipboard" => Ok(Self::Clipboard),
            "title" => Ok(Self::Title),
            "notifications" => Ok(Self::Notifications),
            "palette" => Ok(Self::Palette),
            _ => Err(UnknownTerminalFeature),
        }
    }
}

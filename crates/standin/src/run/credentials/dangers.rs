//! Groups of dangerous operations that are denied at every service.

use standin_model::DangerGroup;
use standin_policy::PolicyBuilder;
use standin_policy::catalogue::danger;

/// Denies what is in these groups, whatever allows it.
pub(super) fn deny(policy: &mut PolicyBuilder, groups: &[DangerGroup]) {
    if groups.is_empty() {
        return;
    }
    danger::all().flat_map(|known| known.rules(groups)).for_each(|rule| policy.deny(rule));
}

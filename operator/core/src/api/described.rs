//! Descriptions of fields whose types have descriptions, too. Never changes what is accepted.

use schemars::Schema;

/// Takes the type's own description away, so that an optional field keeps its own: of two, the type's would be shown.
pub(super) fn by_its_field(schema: &mut Schema) {
    schema.remove("description");
}

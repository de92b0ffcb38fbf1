//! The parts of OData's JSON format that Defender's responses have.

/// The member with the elements of a list.
pub const VALUE: &str = "value";

/// The member with the address of the next page.
pub const NEXT_LINK: &str = "@odata.nextLink";

/// True for the name of an annotation, such as `@odata.context`: it describes the response and not the entity.
pub fn is_annotation(name: &str) -> bool {
    name.starts_with("@odata.")
}

//! An entry of a Graph alert's evidence, and the form that it has at Defender: one flat object with an `entityType`.
//! Pure.

use crate::record::json::members;

use super::word::word;

/// What precedes the name of the entry's type in `@odata.type`.
const NAMESPACE: &str = "#microsoft.graph.security.";

/// The member with the type of an entry.
const TYPE: &str = "@odata.type";

/// The types that Defender has too, with its name of them. (Graph distinguishes a key of the registry from a value, and
/// two kinds of applications.)
const ENTITY_TYPES: [(&str, &str); 11] = [
    ("process", "Process"),
    ("file", "File"),
    ("user", "User"),
    ("ip", "Ip"),
    ("url", "Url"),
    ("registryKey", "Registry"),
    ("registryValue", "Registry"),
    ("mailbox", "Mailbox"),
    ("analyzedMessage", "MailMessage"),
    ("cloudApplication", "CloudApplication"),
    ("oauthApplication", "CloudApplication"),
];

/// The member with the type of an entry at Defender.
const ENTITY_TYPE: &str = "entityType";

/// The member of entries of all types that has another name at Defender.
const CREATED: (&str, &str) = ("createdDateTime", "evidenceCreationTime");

/// The other members that have another name at Defender.
const RENAMED: [(&str, &str); 2] = [
    ("processCreationDateTime", "processCreationTime"),
    ("parentProcessCreationDateTime", "parentProcessCreationTime"),
];

/// The members that are objects, some of whose members are the entry's own at Defender.
const NESTED: [(&str, &[(&str, &str)]); 4] = [
    (IMAGE_FILE, FILE),
    (FILE_DETAILS, FILE),
    (
        "parentProcessImageFile",
        &[("fileName", "parentProcessFileName"), ("filePath", "parentProcessFilePath")],
    ),
    (
        "userAccount",
        &[
            ("accountName", "accountName"),
            ("domainName", "domainName"),
            ("userSid", "userSid"),
            ("azureAdUserId", "aadUserId"),
            ("userPrincipalName", "userPrincipalName"),
        ],
    ),
];

const IMAGE_FILE: &str = "imageFile";
const FILE_DETAILS: &str = "fileDetails";

const FILE: &[(&str, &str)] =
    &[("sha1", "sha1"), ("sha256", "sha256"), ("fileName", "fileName"), ("filePath", "filePath")];

/// An entry of the evidence.
#[derive(Debug)]
pub struct Entry<'a> {
    text: &'a str,
    /// The name of its type, such as `process`; empty if it has none.
    kind: &'a str,
    members: Vec<(&'a str, &'a str)>,
}

impl<'a> Entry<'a> {
    /// Reads an element of the evidence, which is valid JSON of any kind.
    pub fn of(text: &'a str) -> Self {
        let mut entry = Self { text, kind: "", members: Vec::new() };
        if text.starts_with('{') {
            entry.members.extend(members(text).map(|(name, value)| (unquoted(name), value)));
        }
        let name = entry.get(TYPE).filter(|name| name.starts_with('"')).map(unquoted).unwrap_or_default();
        let name = name.strip_prefix(NAMESPACE).unwrap_or(name);
        // The end of an escape could look like the beginning of the suffix.
        let suffix = if name.contains('\\') { "" } else { "Evidence" };
        Self { kind: name.strip_suffix(suffix).unwrap_or(name), ..entry }
    }

    /// Returns the value of the member called `name`; `None` also for a null.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.get_or_null(name).filter(|value| *value != "null")
    }

    /// Returns the value of the member called `name`, which may be null.
    pub fn get_or_null(&self, name: &str) -> Option<&'a str> {
        self.members.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }

    /// Returns the members, without nulls: the inside of the name's string, and the value.
    pub fn members(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.members.iter().copied().filter(|(_, value)| *value != "null")
    }

    /// The entry as Graph wrote it.
    pub fn text(&self) -> &'a str {
        self.text
    }

    /// True for a device.
    pub fn is_device(&self) -> bool {
        self.kind == "device"
    }

    /// True for a user.
    pub fn is_user(&self) -> bool {
        self.kind == "user"
    }

    /// Appends the entry as Defender has it. Nulls are left out. An entry of a type that Defender does not have keeps
    /// its members, and one without a type is unchanged.
    pub fn append_to(&self, out: &mut Vec<u8>) {
        if self.kind.is_empty() {
            return out.extend_from_slice(self.text.as_bytes());
        }
        let known = ENTITY_TYPES.iter().find(|(graph, _)| *graph == self.kind).map(|(_, defender)| *defender);
        out.push(b'{');
        append_key(out, ENTITY_TYPE);
        out.push(b'"');
        append_capitalized(out, known.unwrap_or(self.kind));
        out.push(b'"');
        for (name, value) in self.members().filter(|(name, _)| *name != TYPE) {
            match known {
                _ if name == CREATED.0 => append_member(out, CREATED.1, value),
                Some(_) => self.append_member(out, name, value),
                None if [ENTITY_TYPE, CREATED.1].contains(&name) => {
                    append_member(out, &graph_name(name), value);
                }
                None => append_member(out, name, value),
            }
        }
        out.push(b'}');
    }

    /// Appends a member of an entry whose type Defender has too.
    fn append_member(&self, out: &mut Vec<u8>, name: &str, value: &str) {
        if let Some((_, parts)) = NESTED.iter().find(|(nested, _)| *nested == name)
            && value.starts_with('{')
            && (name != FILE_DETAILS || self.get(IMAGE_FILE).is_none())
        {
            append_parts(out, name, value, parts);
        } else if name == "detectionStatus" {
            append_member(out, name, &word(value, &[]));
        } else if let Some((_, defender)) = RENAMED.iter().find(|(graph, _)| *graph == name) {
            append_member(out, defender, value);
        } else if is_taken(name) {
            append_member(out, &graph_name(name), value);
        } else {
            append_member(out, name, value);
        }
    }
}

/// True for a name that a member gets only by being moved or renamed.
fn is_taken(name: &str) -> bool {
    let mut parts = NESTED.iter().flat_map(|(_, parts)| parts.iter());
    [ENTITY_TYPE, CREATED.1].contains(&name)
        || RENAMED.iter().any(|(_, defender)| *defender == name)
        || parts.any(|(_, defender)| *defender == name)
}

/// Returns the name for a member of Graph whose own name has another meaning at Defender: `machineId`, should an alert of
/// Graph ever have it, becomes `graphMachineId`.
pub fn graph_name(name: &str) -> String {
    let mut letters = name.chars();
    let first = letters.next().map_or(' ', |letter| letter.to_ascii_uppercase());
    format!("graph{first}{}", letters.as_str())
}

/// Appends the members of `object` that are in `parts` under their names at Defender, and the others as an object called
/// `name`.
fn append_parts(out: &mut Vec<u8>, name: &str, object: &str, parts: &[(&str, &str)]) {
    let mut has_others = false;
    let part = |name: &str| parts.iter().find(|(graph, _)| *graph == name);
    let inside = || members(object).filter(|(_, value)| *value != "null");
    for (name, value) in inside() {
        match part(unquoted(name)) {
            Some((_, defender)) => append_member(out, defender, value),
            None => has_others |= !unquoted(name).starts_with('@'),
        }
    }
    if has_others {
        append_key(out, name);
        out.push(b'{');
        for (name, value) in inside().filter(|(name, _)| part(unquoted(name)).is_none()) {
            append_member(out, unquoted(name), value);
        }
        out.push(b'}');
    }
}

/// Appends a member to an object that is being written. `name` is the inside of a JSON string.
pub fn append_member(out: &mut Vec<u8>, name: &str, value: &str) {
    append_key(out, name);
    out.extend_from_slice(value.as_bytes());
}

/// Appends the name of a member, and the comma before it unless it is the first in its object.
pub fn append_key(out: &mut Vec<u8>, name: &str) {
    if out.last().is_some_and(|last| *last != b'{') {
        out.push(b',');
    }
    out.push(b'"');
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

/// Returns the inside of a JSON string, with its escapes.
pub fn unquoted(string: &str) -> &str {
    string.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(string)
}

fn append_capitalized(out: &mut Vec<u8>, name: &str) {
    let start = out.len();
    out.extend_from_slice(name.as_bytes());
    out[start].make_ascii_uppercase();
}

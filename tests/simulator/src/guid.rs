//! Made-up GUIDs: correlation ids, trace ids, device and tenant objects.

use fastrand::Rng;

/// A random version 4 GUID as text.
pub(crate) fn guid(rng: &mut Rng) -> String {
    let bits = rng.u128(..) & !(0xf << 76) & !(0x3 << 62) | 0x4 << 76 | 0x2 << 62;
    let hex = format!("{bits:032x}");
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

/// Whether a text is 32 hex digits in their five groups.
pub(crate) fn is_guid(text: &str) -> bool {
    let groups: Vec<_> = text.split('-').map(str::len).collect();
    groups == [8, 4, 4, 4, 12] && text.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guid_has_its_five_groups_version_and_variant() {
        let mut rng = Rng::with_seed(1);
        for _ in 0..50 {
            let guid = guid(&mut rng);
            let groups: Vec<_> = guid.split('-').map(str::len).collect();
            assert_eq!(groups, [8, 4, 4, 4, 12]);
            assert_eq!(&guid[14..15], "4");
            assert!("89ab".contains(&guid[19..20]), "variant of {guid}");
        }
    }
}

//! The addresses that are never requested through a proxy: it would connect to its own machine, and see credentials that
//! are for this one.

use std::net::IpAddr;

use reqwest::Url;

/// Returns true when `url` is on this machine or link-local, as the identity endpoints of Azure are.
pub fn is_local(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    match host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().map(|ip| ip.to_canonical()) {
        Ok(ip) if ip.is_loopback() || ip.is_unspecified() => true,
        Ok(IpAddr::V4(ip)) => ip.is_link_local(),
        Ok(IpAddr::V6(ip)) => ip.is_unicast_link_local(),
        // Names under localhost are loopback addresses too (RFC 6761, section 6.3).
        Err(_) => host.trim_end_matches('.').rsplit('.').next() == Some("localhost"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_and_link_local_addresses_are_local_in_every_spelling() {
        for (host, expected) in [
            ("127.0.0.1:8081", true),
            ("127.8.9.1", true),
            ("2130706433", true),
            ("0x7f.1", true),
            ("0.0.0.0", true),
            ("localhost:42356", true),
            ("LOCALHOST", true),
            ("localhost.", true),
            ("identity.localhost", true),
            ("169.254.169.254", true),
            ("169.254.131.2:8081", true),
            ("[::1]:9", true),
            ("[fe80::1]", true),
            ("[febf::1]", true),
            ("[::ffff:127.0.0.1]", true),
            ("[::ffff:169.254.1.1]", true),
            ("10.0.0.1", false),
            ("169.255.0.1", false),
            ("128.0.0.1", false),
            ("[fec0::1]", false),
            ("[2001:db8::1]", false),
            ("[::ffff:10.0.0.1]", false),
            ("localhost.example", false),
            ("notlocalhost", false),
            ("127.0.0.1.example", false),
            ("login.microsoftonline.com", false),
        ] {
            let url = Url::parse(&format!("http://{host}/msi/token")).expect(host);
            assert_eq!(is_local(&url), expected, "{host}");
        }
    }
}

use super::*;

const COLLECTOR: [(&str, &str); 3] = [
    ("MDATP_WORKSPACE_ID", "97ce69d9-b4be-4241-8dbd-d265edcf06c4"),
    ("MDATP_WORKSPACE_KEY", "c2VjcmV0IGtleQ=="),
    ("MDATP_STATE", "file:state"),
];
const INGESTION: [(&str, &str); 3] = [
    ("MDATP_INGESTION_ENDPOINT", "https://mdatp-ab12.westeurope-1.ingest.monitor.azure.com"),
    ("MDATP_DCR_ID", "dcr-0123456789abcdef0123456789abcdef"),
    ("MDATP_STATE", "file:state"),
];

fn parse(values: &[&[(&str, &str)]]) -> Result<Config, SettingsError> {
    Config::parse(&values.iter().flat_map(|values| values.iter().copied()).collect())
}

#[test]
fn the_defaults_are_those_of_the_table() {
    let config = parse(&[&COLLECTOR]).expect("collector");
    assert_eq!(config.api_url.as_str(), "https://api.security.microsoft.com");
    assert_eq!(config.api_scope, "https://api.securitycenter.microsoft.com/.default");
    assert_eq!(config.authority.as_str(), "https://login.microsoftonline.com");
    assert_eq!((config.fetch, config.mode), (AlertFetch::List, Mode::Created));
    assert_eq!(config.start, Start::Ago(Duration::from_secs(24 * 3600)));
    assert_eq!(config.lookback, Duration::from_secs(3600));
    assert_eq!((config.page_size, config.run_budget), (1000, Duration::from_secs(480)));
    assert!((config.quota_share - 0.8).abs() < f64::EPSILON);
    assert_eq!(config.enrichment_timeout, Duration::from_secs(1800));
    let SinkConfig::DataCollector { url, log_name, .. } = config.sink else {
        panic!("one sink is configured")
    };
    assert_eq!(url.as_str(), "https://97ce69d9-b4be-4241-8dbd-d265edcf06c4.ods.opinsights.azure.com");
    assert_eq!(log_name, "MDATPAlerts");

    let SinkConfig::LogsIngestion { stream, scope, .. } = parse(&[&INGESTION]).expect("ingestion").sink
    else {
        panic!("one sink is configured")
    };
    assert_eq!(
        (stream.as_str(), scope.as_str()),
        ("Custom-MDATPAlerts_CL", "https://monitor.azure.com/.default")
    );
}

#[test]
fn a_cloud_sets_all_its_hosts_and_a_setting_overrides_one() {
    let config =
        parse(&[&COLLECTOR, &[("MDATP_CLOUD", "gcc-high"), ("MDATP_API_SCOPE", "api://other/.default")]])
            .expect("gov");
    assert_eq!(config.authority.as_str(), "https://login.microsoftonline.us");
    assert_eq!(config.api_url.as_str(), "https://api-gov.securitycenter.microsoft.us");
    assert_eq!(config.api_scope, "api://other/.default");
    let SinkConfig::DataCollector { url, .. } = config.sink else { panic!("one sink is configured") };
    assert!(url.as_str().ends_with(".ods.opinsights.azure.us"));
}

#[test]
fn the_credential_follows_from_what_is_set() {
    let app = [("AZURE_TENANT_ID", "t"), ("AZURE_CLIENT_ID", "c")];
    let secret = [("AZURE_CLIENT_SECRET", "s")];
    let file = [("AZURE_FEDERATED_TOKEN_FILE", "/var/token")];
    let managed = [("IDENTITY_ENDPOINT", "http://127.0.0.1:1/msi/token")];
    let identity =
        |extra: &[&[(&str, &str)]]| parse(&[&[&COLLECTOR[..]], extra].concat()).expect("settings").identity;
    assert!(matches!(identity(&[&app, &secret, &managed]), Identity::ClientSecret { .. }));
    assert!(matches!(identity(&[&app, &file, &managed]), Identity::WorkloadIdentity { .. }));
    assert!(matches!(identity(&[&managed]), Identity::ManagedIdentity { client: None }));
    assert!(
        matches!(identity(&[&app, &managed]), Identity::ManagedIdentity { client: Some(id) } if id == "c")
    );
    assert!(matches!(identity(&[]), Identity::AzureCli { tenant: None }));
}

/// The source identity with these settings beside the sink's.
fn source(extra: &[&[(&str, &str)]]) -> Result<SourceIdentity, String> {
    let config = parse(&[&[&COLLECTOR[..]], extra].concat());
    config.map(|config| config.source).map_err(|problems| problems.to_string())
}

const SOURCE: [(&str, &str); 2] = [("MDATP_TENANT_ID", "t2"), ("MDATP_CLIENT_ID", "c2")];
const MANAGED: (&str, &str) = ("IDENTITY_ENDPOINT", "http://127.0.0.1:1/msi/token");

#[test]
fn the_source_identity_follows_from_what_is_set_and_is_the_apps_own_where_nothing_is() {
    use SourceIdentity::Separate;
    let app = [("AZURE_TENANT_ID", "t"), ("AZURE_CLIENT_ID", "c")];
    let file = [("AZURE_FEDERATED_TOKEN_FILE", "/var/token")];
    let managed = [MANAGED];
    let named = [("MDATP_MANAGED_IDENTITY_CLIENT_ID", "m2")];
    let secret = [("MDATP_CLIENT_SECRET", "s2")];
    assert!(matches!(source(&[&app, &managed]), Ok(SourceIdentity::Own)));
    for others in [&[&app[..], &file, &managed, &named][..], &[]] {
        assert!(matches!(
            source(&[&[&SOURCE[..], &secret], others].concat()),
            Ok(Separate(Identity::ClientSecret { tenant, client, secret }))
                if (tenant.as_str(), client.as_str(), secret.secret()) == ("t2", "c2", "s2")
        ));
    }
    assert!(matches!(
        source(&[&SOURCE, &app, &file]),
        Ok(Separate(Identity::WorkloadIdentity { tenant, client, .. })) if (tenant.as_str(), client.as_str()) == ("t2", "c2")
    ));
    let own_secret = [("AZURE_CLIENT_SECRET", "s")];
    for (others, wanted) in [
        (&[&managed[..]][..], None),
        (&[&managed, &app], Some("c")),
        (&[&managed, &app, &named], Some("m2")),
        (&[&managed, &app, &file, &named], Some("m2")),
        // Then AZURE_CLIENT_ID is an app registration's.
        (&[&managed, &app, &own_secret], None),
    ] {
        let found = source(&[&[&SOURCE[..]], others].concat());
        let Ok(Separate(Identity::TrustsManagedIdentity { tenant, client, managed, .. })) = found else {
            panic!("{others:?}: {found:?}")
        };
        assert_eq!(
            (tenant.as_str(), client.as_str(), managed.as_deref()),
            ("t2", "c2", wanted),
            "{others:?}"
        );
    }
}

#[test]
fn an_assertion_is_for_the_audience_of_its_cloud() {
    const GLOBAL: &str = "api://AzureADTokenExchange";
    for (name, value, wanted) in [
        ("MDATP_CLOUD", "public", GLOBAL),
        ("MDATP_CLOUD", "gcc", GLOBAL),
        ("MDATP_CLOUD", "gcc-high", "api://AzureADTokenExchangeUSGov"),
        ("MDATP_CLOUD", "dod", "api://AzureADTokenExchangeUSGov"),
        ("AZURE_AUTHORITY_HOST", "https://login.chinacloudapi.cn/", "api://AzureADTokenExchangeChina"),
        (
            "AZURE_AUTHORITY_HOST",
            "https://login.partner.microsoftonline.cn",
            "api://AzureADTokenExchangeChina",
        ),
        ("AZURE_AUTHORITY_HOST", "https://login.microsoftonline.us", "api://AzureADTokenExchangeUSGov"),
        ("AZURE_AUTHORITY_HOST", "https://sign-in.example", GLOBAL),
    ] {
        let found = source(&[&SOURCE, &[MANAGED, (name, value)]]);
        let Ok(SourceIdentity::Separate(Identity::TrustsManagedIdentity { audience, .. })) = found else {
            panic!("{value}: {found:?}")
        };
        assert_eq!(audience, wanted, "{value}");
    }
}

#[test]
fn an_incomplete_source_identity_is_reported_by_each_missing_setting() {
    let (tenant, client) = ("MDATP_TENANT_ID", "MDATP_CLIENT_ID");
    let (secret, managed) = ("MDATP_CLIENT_SECRET", "MDATP_MANAGED_IDENTITY_CLIENT_ID");
    for (given, is_managed, missing) in [
        (&[tenant][..], true, &[client][..]),
        (&[client], true, &[tenant]),
        (&[secret], true, &[tenant, client]),
        (&[managed], true, &[tenant, client]),
        (&[tenant, secret], false, &[client]),
        (&[tenant, client], false, &[secret]),
        (&[tenant], false, &[client, secret]),
        (&[tenant, client, managed], false, &[secret]),
    ] {
        let values: Vec<_> = given.iter().map(|name| (*name, "very-hidden")).collect();
        let platform: &[(&str, &str)] = if is_managed { &[MANAGED] } else { &[] };
        let Err(SettingsError(problems)) = parse(&[&COLLECTOR, &values, platform]) else {
            panic!("{given:?} is not enough")
        };
        let named: Vec<_> = problems.iter().filter_map(|problem| problem.setting.as_deref()).collect();
        assert_eq!(named, missing, "{given:?}");
        assert!(!format!("{problems:?}").contains("very-hidden"));
    }
}

#[test]
fn all_problems_are_reported_together_by_name_and_no_secret_is_shown() {
    let SettingsError(problems) = parse(&[&[
        ("MDATP_CLOUD", "mars"),
        ("AZURE_CLIENT_SECRET", "very-secret"),
        ("MDATP_API_URL", "http://api.example"),
        ("MDATP_SINK", "data-collector"),
        ("MDATP_WORKSPACE_ID", "w"),
        ("MDATP_WORKSPACE_KEY", "not base64!"),
        ("MDATP_LOG_NAME", "MDATPAlerts"),
        ("MDATP_ALERT_FETCH", "some"),
        ("MDATP_MODE", "all"),
        ("MDATP_START", "yesterday"),
        ("MDATP_LOOKBACK", "long"),
        ("MDATP_PAGE_SIZE", "0"),
        ("MDATP_RUN_BUDGET", "0s"),
        ("MDATP_QUOTA_SHARE", "1.5"),
        ("MDATP_ENRICH_PATIENCE", "for ever"),
        ("MDATP_STATE", "blob:No"),
    ]])
    .expect_err("nearly everything is wrong");
    let named: Vec<&str> = problems.iter().filter_map(|problem| problem.setting.as_deref()).collect();
    assert_eq!(
        named,
        [
            "MDATP_CLOUD",
            "AZURE_TENANT_ID",
            "AZURE_CLIENT_ID",
            "MDATP_API_URL",
            "MDATP_WORKSPACE_KEY",
            "MDATP_STATE",
            "MDATP_ALERT_FETCH",
            "MDATP_MODE",
            "MDATP_START",
            "MDATP_LOOKBACK",
            "MDATP_PAGE_SIZE",
            "MDATP_RUN_BUDGET",
            "MDATP_QUOTA_SHARE",
            "MDATP_ENRICH_PATIENCE",
        ]
    );
    let text = SettingsError(problems).to_string();
    assert!(!text.contains("very-secret") && !text.contains("not base64!"), "{text}");
}

#[test]
fn debug_output_of_the_configuration_shows_no_secret() {
    let config = parse(&[
        &COLLECTOR,
        &[("AZURE_TENANT_ID", "t"), ("AZURE_CLIENT_ID", "c"), ("AZURE_CLIENT_SECRET", "very-secret")],
        &[("MDATP_CLIENT_SECRET", "other-secret")],
        &SOURCE,
        &[("MDATP_STATE", "blob:state-box"), ("AzureWebJobsStorage", "AccountName=a;AccountKey=hidden-key")],
    ])
    .expect("settings");
    let text = format!("{config:?}");
    for secret in ["very-secret", "other-secret", "c2VjcmV0IGtleQ", "secret key", "hidden-key"] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
}

#[test]
fn the_sink_must_be_unambiguous_and_the_log_name_legal() {
    assert!(parse(&[&COLLECTOR, &INGESTION]).expect_err("two sinks").to_string().contains("MDATP_SINK"));
    assert!(
        parse(&[&[("MDATP_STATE", "file:s")]]).expect_err("no sink").to_string().contains("MDATP_DCR_ID")
    );
    for name in ["MDATPAlerts_CL", "with space", "dash-ed"] {
        assert!(parse(&[&COLLECTOR, &[("MDATP_LOG_NAME", name)]]).is_err(), "{name}");
    }
}

/// An unresolved reference is the only problem with its setting: it counts neither as a value nor as no value.
#[test]
fn an_unresolved_reference_is_reported_by_its_setting_and_used_nowhere() {
    const REFERENCE: &str = "@Microsoft.KeyVault(SecretUri=https://acme.vault.azure.net/secrets/one/)";
    let app = [("AZURE_TENANT_ID", "t"), ("AZURE_CLIENT_ID", "c"), ("AZURE_CLIENT_SECRET", "s")];
    let storage = [("MDATP_STATE", "blob:state"), ("AzureWebJobsStorage", "AccountName=a;AccountKey=a2V5")];
    let by_name = [("MDATP_STATE", "blob:state"), ("AzureWebJobsStorage__accountName", "a")];
    for (base, names) in [
        (&[&COLLECTOR[..], &app].concat(), &["MDATP_WORKSPACE_ID", "MDATP_WORKSPACE_KEY", "MDATP_STATE"][..]),
        (&[&INGESTION[..], &app].concat(), &["MDATP_INGESTION_ENDPOINT", "MDATP_DCR_ID", "MDATP_STREAM"]),
        (&[&COLLECTOR[..], &app].concat(), &["AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET"]),
        (
            &[&COLLECTOR[..], &SOURCE, &[MANAGED]].concat(),
            &[
                "MDATP_TENANT_ID",
                "MDATP_CLIENT_ID",
                "MDATP_CLIENT_SECRET",
                "MDATP_MANAGED_IDENTITY_CLIENT_ID",
            ],
        ),
        (&[&COLLECTOR[..], &app].concat(), &["AZURE_AUTHORITY_HOST", "MDATP_CLOUD", "MDATP_API_URL"]),
        (
            &[&COLLECTOR[..], &app].concat(),
            &["MDATP_API_SCOPE", "MDATP_SINK", "MDATP_LOG_NAME", "MDATP_MODE"],
        ),
        (&[&COLLECTOR[..], &app].concat(), &["MDATP_PAGE_SIZE", "MDATP_HEALTH", "MDATP_RECORD_SHAPE"]),
        // These are read elsewhere, or by the host or a library.
        (&[&COLLECTOR[..], &app].concat(), &["MDATP_LOG_FORMAT", "MDATP_SCHEDULE", "IDENTITY_HEADER"]),
        (&[&COLLECTOR[..], &app].concat(), &["FUNCTIONS_WORKER_RUNTIME", "SSL_CERT_FILE", "https_proxy"]),
        (&[&COLLECTOR[..], &storage].concat(), &["AzureWebJobsStorage", "AZURE_CLIENT_ID"]),
        (&[&COLLECTOR[..], &by_name].concat(), &["AzureWebJobsStorage__clientSecret"]),
        (&[&COLLECTOR[..], &by_name].concat(), &["AzureWebJobsStorage__accountName"]),
    ] {
        for name in names {
            let Err(SettingsError(problems)) = parse(&[base, &[(name, REFERENCE)]]) else {
                panic!("{name} is not checked")
            };
            let [problem] = &problems[..] else { panic!("{name}: {problems:?}") };
            assert_eq!(problem.setting.as_deref(), Some(*name));
            let text = problem.to_string();
            let start = format!("{name} is a Key Vault reference that App Service has not resolved: ");
            assert!(text.starts_with(&start), "{text}");
            assert!(!text.contains("vault.azure.net"), "{text}");
        }
    }
    // Settings that this program does not read do not matter.
    assert!(parse(&[&COLLECTOR, &[("OTHER_TOOLS_KEY", REFERENCE)]]).is_ok());
}

#[test]
fn names_of_values_have_no_case_and_a_boolean_is_on_or_off() {
    for (name, value) in [
        ("MDATP_MODE", "Updated"),
        ("MDATP_ALERT_FETCH", "BY-ID"),
        ("MDATP_CLOUD", "GCC-High"),
        ("MDATP_SINK", "Data-Collector"),
        ("MDATP_RECORD_SHAPE", "Union"),
        ("MDATP_SINK_IDENTITY", "Source"),
    ] {
        assert!(parse(&[&COLLECTOR, &[(name, value)]]).is_ok(), "{name}");
    }
    for (value, wanted) in [("on", true), ("On", true), ("True", true), ("off", false), ("FALSE", false)] {
        let config = parse(&[&COLLECTOR, &[("MDATP_HEALTH", value)]]).expect(value);
        assert_eq!(config.health, wanted, "{value}");
    }
    assert!(parse(&[&COLLECTOR, &[("MDATP_HEALTH", "maybe")]]).is_err());
}

#[test]
fn a_duration_that_leads_outside_the_calendar_is_rejected() {
    for name in
        ["MDATP_START", "MDATP_LOOKBACK", "MDATP_RUN_BUDGET", "MDATP_ENRICH_PATIENCE", "MDATP_MACHINE_TTL"]
    {
        let problem = parse(&[&COLLECTOR, &[(name, "9000years")]]).expect_err(name).to_string();
        assert!(problem.contains(name) && problem.contains("years"), "{problem}");
    }
}

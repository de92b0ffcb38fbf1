//! `mdatp-forward status --html`: the page in a real browser.

use std::{fs, path::PathBuf};

use serde_json::{Value, json};
use simulator::{Role, Sink, functions_host::Payload};

use crate::{
    browser::{Scheme, frame, open, photograph},
    stage::{Stage, alert, fail, minutes_ago, succeed},
};

/// What the page is asked in the browser. All of it concerns what a reader sees, or hears.
const QUESTIONS: &str = r"
    const all = (what) => [...page.querySelectorAll(what)];
    const text = (what) => all(what).map((element) => element.textContent.trim());
    const channels = (colour) => colour.match(/[\d.]+/g).map(Number);
    const brightness = (colour) => {
        const part = (value) => (value /= 255) <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
        const [red, green, blue] = channels(colour).map(part);
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    };
    const behind = (element) => {
        const colour = view.getComputedStyle(element).backgroundColor;
        const shows = channels(colour)[3] !== 0;
        return shows ? colour : behind(element.parentElement);
    };
    const contrast = (element) => {
        const style = view.getComputedStyle(element);
        const ink = element.ownerSVGElement ? style.fill : style.color;
        const [dark, bright] = [ink, behind(element)].map(brightness).sort((a, b) => a - b);
        return (bright + 0.05) / (dark + 0.05);
    };
    const hasWords = (element) => [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    const worded = all('body *').filter((element) => hasWords(element) && !['STYLE', 'title'].includes(element.tagName));
    const meet = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
    const labels = all('.mark, .time').map((label) => label.getBoundingClientRect());
    return {
        width: view.innerWidth,
        beyond: page.documentElement.scrollWidth - page.documentElement.clientWidth,
        language: page.documentElement.lang,
        isDark: view.matchMedia('(prefers-color-scheme: dark)').matches,
        heading: text('h1'),
        headings: text('h2'),
        problems: text('.problems li'),
        facts: Object.fromEntries(all('.facts > div').map((fact) => [
            fact.querySelector('dt').textContent, fact.querySelector('dd').firstChild.data])),
        results: text('td.good, td.bad, td.other'),
        folded: text('tbody th small'),
        asideIds: all('#set-aside ~ .box tbody th').map((cell) => cell.textContent),
        foreign: all('script, img, link, iframe, [src], [href], [onerror], [onload]').length,
        crosses: all('text.failed').length,
        dots: all('circle.dot').length,
        untitled: all('circle, text.failed, line.sent').filter((mark) => !mark.querySelector('title')).length,
        plots: all('svg[role=img]').map((plot) => page.getElementById(plot.getAttribute('aria-labelledby')).textContent),
        cutOff: all('.words p').filter((words) =>
            words.getBoundingClientRect().right > words.closest('.box').getBoundingClientRect().right).length,
        words: all('.words p').length,
        unscoped: all('th:not([scope])').length,
        unreachable: all('.box').filter((box) => box.tabIndex !== 0).length,
        overlaps: labels.filter((a, i) => labels.some((b, j) => i < j && meet(a, b))).length,
        labels: labels.length,
        outside: labels.filter((label) => label.left < 0 || label.right > view.innerWidth).length,
        smallest: Math.min(...worded.map((element) => parseFloat(view.getComputedStyle(element).fontSize))),
        contrast: Math.min(...worded.map(contrast)),
    };
";

/// The colours of the page itself, as the style sheet has them.
const PAPER: [(Scheme, [u8; 3]); 2] =
    [(Scheme::Light, [0xfb, 0xfa, 0xf7]), (Scheme::Dark, [0x12, 0x16, 0x1c])];
const ACCENT: [(Scheme, [u8; 3]); 2] =
    [(Scheme::Light, [0x0b, 0x6b, 0x74]), (Scheme::Dark, [0x5f, 0xc7, 0xc8])];

/// What an alert's id may be, as far as anybody knows.
const HOSTILE: &str = "<img src=https://example.org/x.png onerror=alert(1)>";

/// Writes a page beside the state, with this exit code.
async fn page(stage: &Stage, code: i32) -> PathBuf {
    let file = stage.folder.path().join("status.html");
    let output = stage.command(&["status", "--html", file.to_str().expect("text")]).await;
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    file
}

/// Asks the page in a frame of this width.
async fn ask(stage: &Stage, file: &PathBuf, scheme: Scheme, width: u32) -> Value {
    let around = stage.folder.path().join("frame.html");
    let text = fs::read_to_string(file).expect("a page");
    fs::write(&around, frame(&text, (width, 2_000), QUESTIONS)).expect("written");
    let seen = open(&around, scheme).await;
    assert_eq!(seen.console, [""; 0]);
    seen.answer()
}

/// A forwarder after a success that set something aside, two quiet runs, a failure, and another success.
async fn after_a_day() -> Stage {
    let stage = Stage::with_alerts(Sink::DataCollector, 120, 5).await;
    let created = minutes_ago(5);
    // The Data Collector refuses a property with such a name.
    let refused = alert(HOSTILE, None, &created).replace("\"severity\"", "\"a-b\":1,\"severity\"");
    stage.cloud.add_alert(&refused);
    let host = stage.host().await;
    assert_eq!(succeed(&host.fire(Payload::regular()).await)["alertsSetAside"], 1);
    succeed(&host.fire(Payload::regular()).await);
    succeed(&host.fire(Payload::regular()).await);
    stage.cloud.deny_role(Role::AlertRead);
    stage.cloud.revoke_tokens();
    fail(&host.fire(Payload::regular()).await);
    stage.cloud.grant_role(Role::AlertRead);
    stage.cloud.revoke_tokens();
    stage.generate(7, 0);
    assert_eq!(succeed(&host.fire(Payload::regular()).await)["alertsSent"], 7);
    stage
}

#[tokio::test]
#[cfg_attr(not(feature = "external-tools"), ignore = "needs Chromium: left to tests/run")]
async fn the_page_tells_the_same_on_any_screen_in_any_light() {
    let stage = after_a_day().await;
    let file = page(&stage, 0).await;
    for (scheme, width) in
        [(Scheme::Light, 1_280), (Scheme::Dark, 1_280), (Scheme::Light, 360), (Scheme::Dark, 360)]
    {
        let found = ask(&stage, &file, scheme, width).await;
        for (name, value) in [
            ("width", json!(width)),
            ("beyond", json!(0)),
            ("language", json!("en")),
            ("isDark", json!(scheme == Scheme::Dark)),
            ("heading", json!(["All is well"])),
            ("headings", json!(["Runs", "Set aside", "State"])),
            ("problems", json!([])),
            ("results", json!(["ok", "failed", "ok", "ok"])),
            ("asideIds", json!([HOSTILE])),
            ("foreign", json!(0)),
            // One in each plot; and a dot for each of the other entries.
            ("crosses", json!(2)),
            ("dots", json!(3)),
            ("untitled", json!(0)),
            (
                "plots",
                json!(["Lag at the end of each run, by time (UTC)", "Alerts of each run, by time (UTC)"]),
            ),
            // Why a run failed, and why something is set aside.
            ("words", json!(2)),
            ("cutOff", json!(0)),
            ("unscoped", json!(0)),
            ("unreachable", json!(0)),
            ("overlaps", json!(0)),
            ("outside", json!(0)),
        ] {
            assert_eq!(found[name], value, "{name}, {scheme:?}, {width}: {found:#}");
        }
        let facts = &found["facts"];
        assert_eq!((&facts["Sent"], &facts["Set aside"]), (&json!("127"), &json!("1")), "{facts}");
        assert!(found["folded"][0].as_str().is_some_and(|text| text.starts_with("2 runs")), "{found:#}");
        let number = |name: &str| found[name].as_f64().expect("a number");
        // Of WCAG 2.2, for text of any size.
        assert!(number("contrast") >= 4.5, "{found:#}");
        assert!(number("smallest") >= 11.0 && number("labels") >= 12.0, "{found:#}");
    }
}

#[tokio::test]
#[cfg_attr(not(feature = "external-tools"), ignore = "needs Chromium: left to tests/run")]
async fn the_page_is_painted_as_the_reader_likes_it() {
    let stage = after_a_day().await;
    let file = page(&stage, 0).await;
    let narrow = stage.folder.path().join("narrow.html");
    let text = fs::read_to_string(&file).expect("a page");
    fs::write(&narrow, frame(&text, (360, 1_400), "return 0;")).expect("written");
    for ((scheme, paper), (_, accent)) in PAPER.into_iter().zip(ACCENT) {
        for (file, size) in [(&file, (1_280, 1_000)), (&narrow, (500, 1_400))] {
            let picture = photograph(file, scheme, size).await;
            assert_eq!((picture.width, picture.height), (size.0 as usize, size.1 as usize));
            assert_eq!(picture.colour(3, 3), paper, "{scheme:?} {size:?}");
            assert!(picture.has(accent), "{scheme:?} {size:?}");
            assert!(picture.colours() > 50, "{scheme:?} {size:?}: {} colours", picture.colours());
        }
    }
}

#[tokio::test]
#[cfg_attr(not(feature = "external-tools"), ignore = "needs Chromium: left to tests/run")]
async fn trouble_comes_first_and_an_empty_page_is_whole() {
    let stage = Stage::new(Sink::DataCollector).await;
    let file = page(&stage, 1).await;
    let found = ask(&stage, &file, Scheme::Light, 360).await;
    assert_eq!((&found["heading"], &found["beyond"]), (&json!(["Needs attention"]), &json!(0)));
    assert!(found["problems"][0].as_str().is_some_and(|text| text.contains("MDATP_START")), "{found:#}");
    assert_eq!((&found["plots"], &found["results"]), (&json!([]), &json!([])));

    stage.tick().await;
    fs::write(stage.state_file("checkpoint.json"), "{\"version\":1,").expect("written");
    let file = page(&stage, 1).await;
    let found = ask(&stage, &file, Scheme::Dark, 360).await;
    assert_eq!((&found["heading"], &found["beyond"]), (&json!(["Needs attention"]), &json!(0)));
    assert!(
        found["problems"][0].as_str().is_some_and(|text| text.contains("not the expected JSON")),
        "{found:#}"
    );
    assert!(found["contrast"].as_f64() >= Some(4.5), "{found:#}");
}

/// Else nothing above would mean much.
#[tokio::test]
#[cfg_attr(not(feature = "external-tools"), ignore = "needs Chromium: left to tests/run")]
async fn the_browser_tells_of_what_a_page_must_not_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("page.html");
    for text in [
        "<!DOCTYPE html><script>throw 1</script>",
        "<!DOCTYPE html><meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'\"><img src=\"x.png\">",
    ] {
        fs::write(&file, text).expect("written");
        let seen = open(&file, Scheme::Light).await;
        assert_eq!(seen.console.len(), 1, "{:?}", seen.console);
    }
}

#[tokio::test]
#[cfg_attr(not(feature = "external-tools"), ignore = "needs Chromium: left to tests/run")]
async fn the_page_about_many_tenants_is_readable_on_any_screen_too() {
    let mut stage = Stage::new(Sink::LogsIngestion).await;
    stage.set("MDATP_CLIENT_ID", "84c0e7d5-1b69-4f32-9d8a-b5f6a2c3e417");
    for (id, name, more) in [
        ("11111111-2222-3333-4444-555555555555", HOSTILE, &[][..]),
        ("22222222-2222-3333-4444-555555555555", "Contoso", &["--disabled"]),
    ] {
        let output = stage.command(&[&["tenants", "add", id, "--name", name], more].concat()).await;
        assert!(output.status.success(), "{output:?}");
    }
    let file = stage.folder.path().join("all.html");
    let output = stage.command(&["status", "--all", "--html", file.to_str().expect("text")]).await;
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    for (scheme, width) in [(Scheme::Light, 1_280), (Scheme::Dark, 360)] {
        let found = ask(&stage, &file, scheme, width).await;
        for (name, value) in [
            ("width", json!(width)),
            ("beyond", json!(0)),
            ("heading", json!(["Needs attention"])),
            ("headings", json!(["Tenants"])),
            ("problems", json!(["1 of 2 tenants needs attention"])),
            ("results", json!(["no run yet", "disabled"])),
            ("foreign", json!(0)),
            ("words", json!(1)),
            ("cutOff", json!(0)),
            ("unscoped", json!(0)),
            ("unreachable", json!(0)),
        ] {
            assert_eq!(found[name], value, "{name}, {scheme:?}, {width}: {found:#}");
        }
        assert_eq!(
            (&found["facts"]["Tenants"], &found["facts"]["With problems"]),
            (&json!("2"), &json!("1"))
        );
        assert!(found["contrast"].as_f64().is_some_and(|contrast| contrast >= 4.5), "{found:#}");
    }
}

//! A provider's tenants over two instances, with everything that may go wrong: each tenant's promises hold, and what happens
//! to one does not touch the others.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use azure_core::time::{Duration as Span, OffsetDateTime};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;
use simulator::{
    Cloud, Customer, Fault, Role, Service,
    functions_host::{FunctionsHost, Invocation},
    queue::MemoryQueues,
};

use crate::{
    provider::{POISON, Provider, QUEUE, generate, ids_of},
    stage::now,
};

/// What is played.
struct Trial {
    tenants: usize,
    /// The alerts of the one tenant that has many.
    backlog: usize,
    /// Each tick, one instance is killed in the middle of it, or crashes, or neither.
    ticks: usize,
}

/// What came of it.
#[derive(Debug, Default)]
struct Figures {
    ticks: Vec<Tick>,
    /// Records that were sent again.
    repeats: usize,
    /// Runs by what they came to.
    runs: BTreeMap<String, usize>,
    /// From the first tick with the backlog until it was in its table.
    backlog: Duration,
}

/// A tick, over the tenants that nothing is wrong with and whose message no dying instance had taken.
struct Tick {
    blow: Blow,
    /// From the tick until each one's new alerts were in its table.
    lags: Vec<Duration>,
    /// The tenants that a dying instance made one tick late.
    late: usize,
}

impl fmt::Debug for Tick {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { blow, lags, late } = self;
        let place = |percent| (lags.len().max(1) - 1) * percent / 100;
        let [half, most, all] =
            [50, 99, 100].map(|percent| lags.get(place(percent)).copied().unwrap_or_default());
        write!(f, "{blow:?}: half within {half:.1?}, 99 % {most:.1?}, all {all:.1?}; {late} late")
    }
}

/// What happens to an instance in a tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Blow {
    None,
    /// It dies with its host, and another takes its place.
    Dies,
    /// Its handler is killed and started again.
    Crashes,
}

struct Play {
    provider: Provider,
    queues: Arc<MemoryQueues>,
    timer: FunctionsHost,
    workers: Vec<FunctionsHost>,
    random: fastrand::Rng,
    /// What has arrived so far, by tenant.
    arrived: RefCell<BTreeMap<String, Arrived>>,
    /// How often a tenant's run was under way when its instance was killed: one post of it may have been in flight.
    excused: BTreeMap<String, usize>,
    figures: Figures,
}

/// What a tenant's table has.
#[derive(Default)]
struct Arrived {
    posts: usize,
    ids: BTreeSet<String>,
    latest: Option<OffsetDateTime>,
}

impl Trial {
    async fn play(self) -> Figures {
        let queues = Arc::new(MemoryQueues::default());
        let provider = Provider::new(self.tenants, Arc::<MemoryQueues>::clone(&queues)).await;
        let mut play = Play {
            timer: provider.timer().await,
            workers: vec![provider.worker().await, provider.worker().await],
            provider,
            queues,
            random: fastrand::Rng::with_seed(17),
            arrived: RefCell::default(),
            excused: BTreeMap::new(),
            figures: Figures::default(),
        };
        // For comparison, while nothing is wrong with anyone.
        for _ in 0..2 {
            play.tick(Blow::None).await;
        }
        play.forbidden().deny_role(Role::AlertRead);
        play.forbidden().revoke_tokens();
        generate(play.many(), self.backlog, 20);
        let began = Instant::now();
        for tick in 0..self.ticks {
            play.tick([Blow::None, Blow::Dies, Blow::Crashes][tick % 3]).await;
        }
        play.tick(Blow::None).await;
        let many = play.provider.fleet.customers()[1].clone();
        while !play.is_done(&many) {
            play.tick(Blow::None).await;
        }
        play.figures.backlog = began.elapsed();
        println!("{:#?}", play.figures);
        play.verify().await;
        play.figures
    }
}

impl Play {
    /// The tenant whose Defender rejects everything, for ever.
    fn forbidden(&self) -> &Cloud {
        self.provider.fleet.cloud(&self.provider.fleet.customers()[0].id)
    }

    /// The tenant with a backlog.
    fn many(&self) -> &Cloud {
        self.provider.fleet.cloud(&self.provider.fleet.customers()[1].id)
    }

    /// The tenants that nothing is wrong with.
    fn healthy(&self) -> &[Customer] {
        &self.provider.fleet.customers()[2..]
    }

    fn is_done(&self, customer: &Customer) -> bool {
        let cloud = self.provider.fleet.cloud(&customer.id);
        let mut arrived = self.arrived.borrow_mut();
        let Arrived { posts, ids, latest } = arrived.entry(customer.id.clone()).or_default();
        for post in cloud.received().split_off(*posts) {
            *posts += 1;
            ids.extend(ids_of(&post));
            *latest = Some(post.at);
        }
        cloud.alert_ids().len() == ids.len()
    }

    /// How long after a time the last post of a tenant came; nothing, if none has come since.
    fn lag(&self, customer: &Customer, tick: OffsetDateTime) -> Duration {
        let latest = self.arrived.borrow().get(&customer.id).and_then(|arrived| arrived.latest);
        latest.map_or(Duration::ZERO, |latest| (latest - tick).try_into().unwrap_or_default())
    }

    /// One tick: new alerts, doubled messages, a fault here and there, a blow in the middle, and late messages at the end.
    async fn tick(&mut self, blow: Blow) {
        for customer in self.healthy() {
            generate(self.provider.fleet.cloud(&customer.id), 3, 1);
        }
        let count = self.healthy().len();
        for _ in 0..count / 10 {
            let number = self.random.usize(0..count);
            let customer = &self.healthy()[number].clone();
            let cloud = self.provider.fleet.cloud(&customer.id);
            match self.random.u8(0..4) {
                0 => cloud.fault(Fault::status(503).on(Service::Defender)),
                1 => cloud.fault(Fault::reset().on(Service::LogsIngestion)),
                2 => cloud.revoke_tokens(),
                _ => cloud.fault(Fault::slow(Span::milliseconds(200)).on(Service::Defender)),
            }
            self.provider.put(customer, 0).await;
        }
        let began = now();
        self.provider.tick(&self.timer).await;
        let lost = match blow {
            Blow::None => BTreeSet::new(),
            Blow::Dies | Blow::Crashes => {
                let posts = self.posts() + count / 3;
                self.provider.until(async || self.posts() >= posts).await;
                self.strike(blow).await
            }
        };
        let on_time: Vec<_> =
            self.healthy().iter().filter(|customer| !lost.contains(&customer.id)).cloned().collect();
        self.provider.until(async || on_time.iter().all(|customer| self.is_done(customer))).await;
        let late = self.healthy().iter().filter(|customer| !self.is_done(customer)).count();
        let mut lags: Vec<_> = on_time.iter().map(|customer| self.lag(customer, began)).collect();
        lags.sort();
        self.figures.ticks.push(Tick { blow, lags, late });
        self.provider.until(async || self.is_quiet()).await;
        for _ in 0..count / 10 {
            let number = self.random.usize(0..count);
            self.provider.put(&self.healthy()[number].clone(), 30).await;
        }
        self.provider.until(async || self.is_quiet()).await;
        self.count_runs();
    }

    /// Nothing is left in the queue for healthy tenants but what a dead host keeps hidden.
    fn is_quiet(&self) -> bool {
        let healthy: BTreeSet<&str> = self.healthy().iter().map(|customer| &*customer.id).collect();
        let under_way: BTreeSet<String> = self.workers.iter().flat_map(FunctionsHost::under_way).collect();
        let minute = now() + Span::MINUTE;
        self.queues.messages(QUEUE).iter().all(|message| {
            let is_lost = message.next_visible > minute && !under_way.contains(&message.id);
            is_lost || !healthy.contains(&*tenant(&message.text))
        })
    }

    /// Posts that tenants' rules have accepted.
    fn posts(&self) -> usize {
        let customers = self.healthy().iter();
        customers.map(|customer| self.provider.fleet.cloud(&customer.id).received().len()).sum()
    }

    /// Kills an instance; the tenants whose messages a dead host keeps hidden.
    async fn strike(&mut self, blow: Blow) -> BTreeSet<String> {
        self.count_runs();
        let victim = self.workers.remove(0);
        let under_way = victim.under_way();
        let messages = self.queues.messages(QUEUE).into_iter();
        let of_the_victim = messages.filter(|message| under_way.contains(&message.id));
        let tenants: BTreeSet<_> = of_the_victim.map(|message| tenant(&message.text)).collect();
        for tenant in &tenants {
            *self.excused.entry(tenant.clone()).or_default() += 1;
        }
        match blow {
            // The host lives on, and has the messages come back.
            Blow::None | Blow::Crashes => {
                victim.restart().await.expect("it starts again");
                self.workers.push(victim);
                BTreeSet::new()
            }
            Blow::Dies => {
                victim.die().await;
                self.workers.push(self.provider.worker().await);
                tenants
            }
        }
    }

    fn count_runs(&mut self) {
        for worker in &self.workers {
            for run in worker.take_triggered() {
                *self.figures.runs.entry(outcome(&run)).or_default() += 1;
            }
        }
    }

    /// Every alert is in its own tenant's table, and repeated only from a post that may have been in flight at a kill; and
    /// nothing became poison.
    async fn verify(&mut self) {
        for customer in &self.provider.fleet.customers()[1..] {
            let (records, distinct) = self.provider.sent(customer);
            self.figures.repeats += records - distinct.len();
            let (mut first, mut in_flight) = (BTreeMap::new(), BTreeSet::new());
            for (post, received) in self.provider.fleet.cloud(&customer.id).received().iter().enumerate() {
                for (id, record) in ids_of(received).into_iter().zip(&received.records) {
                    let (earlier, text) = first.entry(id).or_insert_with(|| (post, record.clone()));
                    assert_eq!(text, record, "a repeat is the same");
                    in_flight.extend((*earlier < post).then_some(*earlier));
                }
            }
            let kills = self.excused.get(&customer.id).copied().unwrap_or_default();
            assert!(in_flight.len() <= kills, "{}: {in_flight:?} repeated over {kills} kills", customer.id);
        }
        let requests = self.forbidden().requests();
        let rejected: Vec<_> =
            requests.iter().filter(|seen| seen.status == Some(403)).map(|seen| seen.at).collect();
        // Five minutes after the first, fifteen after the second; ticks are not to the second.
        let is_due = |(tries, minutes): (usize, i64)| {
            rejected.get(tries).is_none_or(|at| *at - rejected[tries - 1] > Span::minutes(minutes - 1))
        };
        assert!(rejected.len() <= 3 && [(1, 5), (2, 15)].into_iter().all(is_due), "{rejected:?}");
        assert!(
            self.provider.queues.length(POISON).await.is_err_and(|gone| gone.is_gone()),
            "nothing is poison"
        );
        for outcome in ["sent", "staleMessage", "backingOff", "tenant's own error"] {
            assert!(self.figures.runs.contains_key(outcome), "{outcome}: {:?}", self.figures.runs);
        }
    }
}

/// The tenant that a message is for.
fn tenant(text: &str) -> String {
    let message: Value = serde_json::from_slice(&STANDARD.decode(text).expect("base64")).expect("JSON");
    message["tenant"].as_str().expect("an id").to_owned()
}

/// What a run came to, in a word.
fn outcome(run: &Invocation) -> String {
    let text = |member: &str| run.report[member].as_str().map(str::to_owned);
    match (run.succeeded(), text("skipped"), text("error")) {
        (false, ..) => "failed".to_owned(),
        (_, Some(skipped), _) => skipped,
        (_, _, Some(_)) => "tenant's own error".to_owned(),
        (_, None, None) if run.report["alertsSent"] == 0 => "quiet".to_owned(),
        (_, None, None) => "sent".to_owned(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_tenants_promises_hold_over_kills_and_what_happens_to_one_touches_no_other() {
    let figures = Trial { tenants: 40, backlog: 3_000, ticks: 6 }.play().await;
    assert!(figures.runs["sent"] > 200, "{figures:#?}");
}

/// The backlog takes ten minutes by itself: at 250 alerts a page, Defender's quota is the limit.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement, to run by hand with --nocapture"]
async fn five_hundred_tenants() {
    let figures = Trial { tenants: 500, backlog: 50_000, ticks: 9 }.play().await;
    println!("{} repeats", figures.repeats);
}

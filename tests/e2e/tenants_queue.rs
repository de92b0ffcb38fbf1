//! Many tenants over Azurite's queue service: what the timer enqueues is run, comes back when it failed, and is poison in
//! the end; a host that dies costs a tenant no more than one tick.

use std::{fs, sync::Arc, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use simulator::{
    Fault, Service,
    azurite::AzuriteQueues,
    functions_host::{FunctionsHost, Invocation},
    queue::Queues,
};
use tokio::time::sleep;

use crate::provider::{POISON, Provider, QUEUE, generate, ids};

async fn provider(customers: usize) -> Provider {
    Provider::new(customers, Arc::new(AzuriteQueues::start().await)).await
}

/// The texts of the messages in a queue, which are visible again afterwards.
async fn texts(queues: &dyn Queues, queue: &str) -> Vec<String> {
    let mut texts = Vec::new();
    for message in queues.get(queue, 32, Duration::from_secs(60)).await.expect("taken") {
        let bytes = STANDARD.decode(&message.text).expect("base64");
        texts.push(String::from_utf8(bytes).expect("text"));
        queues.hide(queue, &message, Duration::ZERO).await.expect("visible again");
    }
    texts.sort();
    texts
}

/// Why the runs of a host were skipped since the last time; those that were not are left out.
fn skipped(host: &FunctionsHost) -> Vec<String> {
    let runs = host.take_triggered().into_iter();
    runs.filter_map(|run| run.report["skipped"].as_str().map(str::to_owned)).collect()
}

#[tokio::test]
#[cfg_attr(not(feature = "external-tools"), ignore = "needs Node.js: left to tests/run")]
async fn a_tick_puts_a_message_for_each_enabled_tenant_and_each_is_one_run() {
    let provider = provider(4).await;
    provider.generate(12, 3);
    let [first, second, third, fourth] = provider.fleet.customers() else { panic!("four") };
    let mut entries: Vec<Value> = [first, second, third].map(|customer| provider.entry(customer)).into();
    entries[1]["enabled"] = json!(false);
    provider.write_list(entries);

    let timer = provider.timer().await;
    provider.tick(&timer).await;
    let messages = texts(&*provider.queues, QUEUE).await;
    let mut tenants = Vec::new();
    for message in &messages {
        let read: Value = serde_json::from_str(message).expect("JSON");
        let (tenant, tick) =
            (read["tenant"].as_str().expect("an id"), read["tick"].as_str().expect("a time"));
        assert_eq!(*message, format!(r#"{{"tenant":"{tenant}","tick":"{tick}"}}"#), "nothing rewrites it");
        tenants.push(tenant.to_owned());
    }
    let mut expected = vec![first.id.clone(), third.id.clone()];
    expected.sort();
    assert_eq!(tenants, expected);

    let worker = provider.worker().await;
    provider.drained().await;
    for customer in [first, third] {
        provider.assert_all_sent_once(customer);
    }
    for customer in [second, fourth] {
        assert_eq!(provider.fleet.cloud(&customer.id).counts().requests, 0, "nobody asks for it");
    }
    // What is added to the list is run from the next tick on, and what is taken out is not.
    provider.write_list(vec![provider.entry(fourth)]);
    generate(provider.fleet.cloud(&first.id), 5, 0);
    provider.tick(&timer).await;
    provider.drained().await;
    provider.until(async || ids(provider.fleet.cloud(&fourth.id)).len() == 12).await;
    assert_eq!(ids(provider.fleet.cloud(&first.id)).len(), 12);
    let runs = worker.take_triggered();
    assert_eq!(runs.len(), 3);
    assert!(runs.iter().all(Invocation::succeeded), "{runs:#?}");
}

#[tokio::test]
#[cfg_attr(not(feature = "external-tools"), ignore = "needs Node.js: left to tests/run")]
async fn a_message_that_fails_comes_back_and_after_five_times_is_poison() {
    let provider = provider(2).await;
    provider.generate(5, 1);
    let [broken, good] = provider.fleet.customers() else { panic!("two") };
    // No folder can be made where a file is: the store fails, which is no fault of the tenant's.
    let in_the_way = provider.state_of(broken);
    fs::create_dir_all(in_the_way.parent().expect("a folder")).expect("made");
    fs::write(&in_the_way, "in the way").expect("written");

    let (timer, worker) = (provider.timer().await, provider.worker().await);
    provider.tick(&timer).await;
    provider
        .until(async || worker.log().iter().filter(|log| log.line.contains("result=failed")).count() >= 2)
        .await;
    provider.assert_all_sent_once(good);
    fs::remove_file(&in_the_way).expect("removed");
    provider.drained().await;
    provider.assert_all_sent_once(broken);
    let _ = worker.take_triggered();

    fs::remove_dir_all(&in_the_way).expect("removed");
    fs::write(&in_the_way, "in the way").expect("written");
    provider.put(broken, 0).await;
    provider.drained().await;
    let statuses: Vec<_> = worker.take_triggered().iter().map(|run| run.status).collect();
    assert_eq!(statuses, [500; 5]);
    let poison = texts(&*provider.queues, POISON).await;
    assert!(poison.len() == 1 && poison[0].contains(&broken.id), "{poison:?}");
}

#[tokio::test]
#[cfg_attr(not(feature = "external-tools"), ignore = "needs Node.js: left to tests/run")]
async fn a_host_that_dies_costs_its_tenants_one_tick() {
    let provider = provider(3).await;
    provider.generate(8, 2);
    let customers = provider.fleet.customers();
    for customer in customers {
        provider.fleet.cloud(&customer.id).fault(Fault::hang().on(Service::Defender));
    }
    let (timer, dying) = (provider.timer().await, provider.worker().await);
    provider.tick(&timer).await;
    let asked = |customer: &simulator::Customer| provider.fleet.cloud(&customer.id).counts().faults == 1;
    provider.until(async || customers.iter().all(asked)).await;
    dying.die().await;
    let hidden = provider.queues.get(QUEUE, 32, Duration::from_secs(1)).await.expect("there is a queue");
    assert!(hidden.is_empty(), "{hidden:?}");
    assert_eq!(provider.queues.length(QUEUE).await, Ok(3), "hidden, for ten minutes");

    let worker = provider.worker().await;
    provider.tick(&timer).await;
    provider.until(async || provider.queues.length(QUEUE).await == Ok(3)).await;
    for customer in customers {
        provider.assert_all_sent_once(customer);
    }
    // The old messages, when they come: their tick was before the newest run of their tenants.
    let _ = worker.take_triggered();
    for customer in customers {
        provider.put(customer, 5).await;
    }
    provider.until(async || provider.queues.length(QUEUE).await == Ok(3)).await;
    assert_eq!(skipped(&worker), ["staleMessage"; 3]);
}

#[tokio::test]
#[cfg_attr(not(feature = "external-tools"), ignore = "needs Node.js: left to tests/run")]
async fn doubled_messages_send_nothing_twice() {
    let provider = provider(1).await;
    provider.generate(40, 4);
    let customer = &provider.fleet.customers()[0];
    let slow = Fault::slow(azure_core::time::Duration::milliseconds(300));
    provider.fleet.cloud(&customer.id).fault(slow.on(Service::Defender).times(3));
    for _ in 0..8 {
        provider.put(customer, 0).await;
    }
    let workers = [provider.worker().await, provider.worker().await];
    provider.drained().await;
    // The last replies may still be on their way to the host.
    sleep(Duration::from_millis(100)).await;
    provider.assert_all_sent_once(customer);
    let runs: Vec<_> = workers.iter().flat_map(FunctionsHost::take_triggered).collect();
    assert!(runs.iter().all(Invocation::succeeded), "{runs:#?}");
    let sent: u64 = runs.iter().filter_map(|run| run.report["alertsSent"].as_u64()).sum();
    assert_eq!((runs.len(), sent), (8, 40));
}

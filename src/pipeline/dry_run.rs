//! The last stage of a dry run: prints the records, and sends and saves nothing.

use tokio::sync::mpsc::Receiver;
use tracing::error;

use super::{
    ledger::Ledger,
    live_report::LiveReport,
    work::{End, Work},
};
use crate::record::batch::Batch;

/// Passes each record to `print`, in the order in which a run would send them.
pub(super) async fn run<'a>(
    mut work: Receiver<Work<'a>>,
    ledger: &mut Ledger<'_>,
    live: &LiveReport,
    print: &(dyn Fn(&[u8]) + Send + Sync),
) -> End<'a> {
    let print_all = |batch: &Batch| {
        (0..batch.acks.len()).for_each(|place| print(batch.record(place)));
    };
    while let Some(piece) = work.recv().await {
        match piece {
            Work::Batch(outgoing) => print_all(&outgoing.batch),
            Work::Hold(time) => ledger.hold(time),
            Work::SetAside(whole) if whole.kind.is_sent() => {}
            Work::SetAside(whole) => {
                error!("alert {} would be set aside: {}", whole.log_id(), whole.log_reason());
                live.update(|report| report.alerts_set_aside += 1);
            }
            Work::End(end) => {
                end.batch.iter().for_each(|outgoing| print_all(&outgoing.batch));
                return end;
            }
        }
    }
    End::cut_off()
}

//! Taking part: three threads, as neither leases nor what is revoked may wait for copies, which may take long.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use fleet::Fleet;
use ledger::{Books, Keys, View, WHOLE, Whole};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::time::Instant as Clock;
use tokio_postgres::Client;
use units::Instant;

use crate::copies::{check_own, copy};
use crate::error::ShareError;
use crate::keys::Agreed;
use crate::leases::{EVERY, Part, Portions, Renewing, Turn, forget_past};
use crate::link::{Address, within};
use crate::lock::Lock;
use crate::replica::{ReplicaId, take_part};
use crate::schema::migrate;
use crate::whole::{close, fetch, recognise};

/// How long the last entries of a process that ends may take.
const LAST: Duration = Duration::from_secs(5);
/// How often leases of periods that are over are forgotten.
const FORGET_EVERY: Duration = Duration::from_secs(3_600);
/// So much lies between two turns at least, however many requests wait for a lease.
const SOONEST: Duration = Duration::from_millis(50);

/// What a replica takes part with.
pub struct Setup {
    /// The shared database.
    pub address: Address,
    /// The state directory, which a process has open.
    pub directory: PathBuf,
    /// Its name among the replicas.
    pub replica: ReplicaId,
    /// The time that requests are held against.
    pub now: Arc<dyn Fn() -> Instant + Send + Sync>,
    /// The fleet.
    pub fleet: Arc<Fleet>,
    /// Hears the books of all replicas, as far as they have been copied.
    pub books: Arc<dyn Fn(Books) + Send + Sync>,
    /// Hears what goes wrong, each cause once, and that it is right again.
    pub say: Arc<dyn Fn(&str) + Send + Sync>,
}

/// Taking part in what is shared. It ends when dropped; [`Sharing::stop`] brings the last entries first.
#[derive(Debug)]
pub struct Sharing {
    stop: watch::Sender<bool>,
    threads: Vec<JoinHandle<()>>,
}

/// A replica that takes part, before it has anything leased.
pub struct Joined {
    copying: Copying,
    agreeing: Agreeing,
    leasing: Leasing,
}

impl Joined {
    /// Brings the tables forward, takes part and agrees on keys; what was booked before is copied.
    ///
    /// # Errors
    /// When the database can't be reached or is newer than this program, or the state directory can't be read.
    pub fn join(setup: Setup) -> Result<Self, ShareError> {
        let setup = Arc::new(setup);
        let mut copying = Copying::open(&setup)?;
        let leasing = Leasing::begin(&setup, &copying.work.view)?;
        let mut agreeing = Agreeing::open(&setup)?;
        agreeing.begin()?;
        copying.begin()?;
        Ok(Self { copying, agreeing, leasing })
    }

    /// Leases what there is of each portion once, then goes on beside.
    ///
    /// # Errors
    /// When the database can't be reached, or refused.
    pub fn start(self, portions: Arc<dyn Portions>) -> Result<Sharing, ShareError> {
        let Self { copying, agreeing, mut leasing } = self;
        leasing.renew_once(portions.as_ref())?;
        let (stop, stopped) = watch::channel(false);
        let leases = spawn("leases", {
            let (stopped, portions) = (stopped.clone(), Arc::clone(&portions));
            move || leasing.run(portions.as_ref(), stopped)
        })?;
        let keys = spawn("keys", {
            let (stopped, portions) = (stopped.clone(), Arc::clone(&portions));
            move || agreeing.run(portions.as_ref(), stopped)
        })?;
        let copies = spawn("copies", move || copying.run(portions.as_ref(), stopped))?;
        Ok(Sharing { stop, threads: vec![leases, keys, copies] })
    }
}

impl Sharing {
    /// Brings what is not there yet, as far as the database takes it, and ends.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.stop.send_replace(true);
        for thread in self.threads.drain(..) {
            // One that panicked has been reported by its panic; what it left undone is done by the next process.
            drop(thread.join());
        }
    }
}

impl Drop for Sharing {
    fn drop(&mut self) {
        self.end();
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, ShareError> {
    std::thread::Builder::new().name(name.to_owned()).spawn(run).map_err(ShareError::Thread)
}

fn runtime() -> Result<Runtime, ShareError> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(ShareError::Thread)
}

/// Causes that are told of one trouble: a database whose every error reads otherwise does not fill the log.
const CAUSES_MAX: usize = 8;

/// Says what goes wrong, each cause once, and when it is right again.
struct Trouble {
    part: Part,
    /// What was said since it last went well.
    said: Vec<String>,
}

impl Trouble {
    fn of(part: Part) -> Self {
        Self { part, said: Vec::new() }
    }

    fn note(&mut self, (setup, portions): (&Setup, &dyn Portions), result: &Result<(), ShareError>) {
        if result.is_ok() {
            portions.went_well(self.part);
        }
        self.tell(setup.say.as_ref(), result);
    }

    fn tell(&mut self, say: &dyn Fn(&str), result: &Result<(), ShareError>) {
        match result {
            Ok(()) if self.said.is_empty() => {}
            Ok(()) => {
                say(&format!("{}: goes on", self.part.what()));
                self.said.clear();
            }
            Err(error) => {
                let cause = chain(error);
                if self.said.len() < CAUSES_MAX && !self.said.contains(&cause) {
                    say(&format!("{}: {cause}", self.part.what()));
                    self.said.push(cause);
                }
            }
        }
    }
}

/// An error with its sources.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

/// The thread that renews leases.
struct Leasing {
    setup: Arc<Setup>,
    runtime: Runtime,
    renewing: Renewing,
    client: Option<Client>,
}

impl Leasing {
    fn begin(setup: &Arc<Setup>, view: &View) -> Result<Self, ShareError> {
        let runtime = runtime()?;
        let (client, incarnation) = runtime.block_on(async {
            let mut client = setup.address.connect().await?;
            within(Lock::Schema.waits(), migrate(&mut client)).await?;
            // A copy of a directory whose books have gone on without it must not displace who has them.
            check_own(&client, view, &setup.replica).await?;
            // Not before: a directory whose first start fails is none of several replicas.
            setup.replica.keep(&setup.directory)?;
            let incarnation = take_part(&client, &setup.replica).await?;
            Ok::<_, ShareError>((client, incarnation))
        })?;
        Ok(Self { setup: Arc::clone(setup), runtime, renewing: Renewing::new(setup.replica.clone(), incarnation), client: Some(client) })
    }

    fn renew_once(&mut self, portions: &dyn Portions) -> Result<(), ShareError> {
        let Self { setup, runtime, renewing, client } = self;
        runtime.block_on(renew(setup, portions, Turn::Regular, renewing, client))
    }

    fn run(mut self, portions: &dyn Portions, mut stopped: watch::Receiver<bool>) {
        let Self { setup, runtime, renewing, client } = &mut self;
        let mut trouble = Trouble::of(Part::Leases);
        runtime.block_on(async {
            let (mut regular, mut soonest) = (Clock::now() + EVERY, SOONEST);
            while let Some(turn) = next(&mut stopped, portions, regular, soonest).await {
                if turn == Turn::Regular {
                    regular = Clock::now() + EVERY;
                }
                let result = renew(setup, portions, turn, renewing, client).await;
                trouble.note((setup, portions), &result);
                // A database that is not there is not asked more often because many wait for it.
                soonest = if result.is_ok() { SOONEST } else { EVERY };
            }
            if let Some(client) = client {
                // Unheard it is the next one's all the same, a little later.
                drop(within(Lock::Leases.waits(), renewing.leave(client, portions)).await);
            }
        });
    }
}

/// Renews once, over a new connection where the last one failed.
async fn renew(
    setup: &Setup,
    portions: &dyn Portions,
    turn: Turn,
    renewing: &mut Renewing,
    client: &mut Option<Client>,
) -> Result<(), ShareError> {
    let mut open = match client.take() {
        Some(client) => client,
        None => setup.address.connect().await?,
    };
    within(Lock::Leases.waits(), renewing.renew(&mut open, portions, turn, (setup.now)())).await?;
    *client = Some(open);
    Ok(())
}

/// Waits for the next turn of the leases, which comes early where a request waits for one; `None` when it is time to end.
async fn next(stopped: &mut watch::Receiver<bool>, portions: &dyn Portions, regular: Clock, soonest: Duration) -> Option<Turn> {
    let wanted = async {
        tokio::time::sleep(soonest).await;
        portions.wanted().await;
    };
    tokio::select! {
        biased;
        // The sender gone says the same as its message.
        _ = stopped.wait_for(|stop| *stop) => None,
        () = tokio::time::sleep_until(regular) => Some(Turn::Regular),
        () = wanted => Some(Turn::Early),
    }
}

/// Waits for the next turn of copies or keys; `true` when it is time to end.
async fn wait(stopped: &mut watch::Receiver<bool>) -> bool {
    tokio::select! {
        // The sender gone says the same as its message.
        _ = stopped.wait_for(|stop| *stop) => true,
        () = tokio::time::sleep(EVERY) => false,
    }
}

/// The thread that agrees on keys.
struct Agreeing {
    setup: Arc<Setup>,
    runtime: Runtime,
    keys: Keys,
    agreed: Agreed,
    client: Option<Client>,
}

impl Agreeing {
    fn open(setup: &Arc<Setup>) -> Result<Self, ShareError> {
        let keys = Keys::open(&setup.directory)?;
        Ok(Self { setup: Arc::clone(setup), runtime: runtime()?, keys, agreed: Agreed::default(), client: None })
    }

    fn begin(&mut self) -> Result<(), ShareError> {
        let Self { setup, runtime, keys, agreed, client } = self;
        runtime.block_on(agree(setup, keys, agreed, client))
    }

    fn run(mut self, portions: &dyn Portions, mut stopped: watch::Receiver<bool>) {
        let Self { setup, runtime, keys, agreed, client } = &mut self;
        let mut trouble = Trouble::of(Part::Keys);
        runtime.block_on(async {
            loop {
                let last = wait(&mut stopped).await;
                let result = agree(setup, keys, agreed, client).await;
                trouble.note((setup, portions), &result);
                if last {
                    break;
                }
            }
        });
    }
}

/// Agrees on keys once, over a new connection where the last one failed.
async fn agree(setup: &Setup, keys: &Keys, agreed: &mut Agreed, client: &mut Option<Client>) -> Result<(), ShareError> {
    let mut open = match client.take() {
        Some(client) => client,
        None => {
            agreed.look_again();
            setup.address.connect().await?
        }
    };
    agreed.agree(&mut open, keys, &setup.replica).await?;
    *client = Some(open);
    Ok(())
}

/// The thread that brings entries.
struct Copying {
    runtime: Runtime,
    work: Work,
}

/// What it works with.
struct Work {
    setup: Arc<Setup>,
    view: View,
    whole: Whole,
    /// How many entries it was said of that they can't be added.
    told: usize,
    client: Option<Client>,
    /// When leases of periods that are over were last forgotten.
    forgot: Option<Clock>,
}

impl Copying {
    fn open(setup: &Arc<Setup>) -> Result<Self, ShareError> {
        let (view, whole) = (View::open(&setup.directory)?, Whole::open(&setup.directory.join(WHOLE))?);
        let work = Work { setup: Arc::clone(setup), view, whole, told: 0, client: None, forgot: None };
        Ok(Self { runtime: runtime()?, work })
    }

    fn begin(&mut self) -> Result<(), ShareError> {
        self.runtime.block_on(self.work.once())
    }

    fn run(self, portions: &dyn Portions, mut stopped: watch::Receiver<bool>) {
        let Self { runtime, mut work } = self;
        let (mut trouble, setup) = (Trouble::of(Part::Copies), Arc::clone(&work.setup));
        let told = (&*setup, portions);
        runtime.block_on(async {
            loop {
                // Others may have what it waits for: what isn't brought in time is by the next process.
                if wait(&mut stopped).await {
                    let result = tokio::time::timeout(LAST, work.once()).await;
                    trouble.note(told, &result.unwrap_or(Err(ShareError::Silent)));
                    break;
                }
                tokio::select! {
                    biased;
                    result = work.once() => trouble.note(told, &result),
                    _ = stopped.wait_for(|stop| *stop) => {}
                }
            }
        });
    }
}

impl Work {
    /// Brings all entries there are and fetches those of others, over a new connection where the last one failed.
    async fn once(&mut self) -> Result<(), ShareError> {
        let Self { setup, view, whole, told, client, forgot } = self;
        let mut open = match client.take() {
            Some(client) => client,
            None => setup.address.connect().await?,
        };
        while copy(&mut open, view, &setup.replica).await? {}
        let now = (setup.now)();
        recognise(&open, whole).await?;
        if fetch(&open, whole).await? {
            let passed = whole.passed_over()?;
            passed.iter().skip(*told).for_each(|passed| (setup.say)(&passed.to_string()));
            *told = passed.len();
            (setup.books)(whole.books(&setup.fleet, now)?);
        }
        close(&mut open, whole, &setup.fleet, now).await?;
        if forgot.is_none_or(|forgot| forgot.elapsed() >= FORGET_EVERY) {
            forget_past(&open).await?;
            *forgot = Some(Clock::now());
        }
        *client = Some(open);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;

    use market::Leased;
    use tokio::sync::Notify;

    use super::*;
    use crate::leases::Portion;
    use crate::used::UsedTime;

    #[test]
    fn each_cause_of_a_trouble_is_told_once_and_its_end() {
        let failed = |text: &str| Err(ShareError::Thread(std::io::Error::other(text.to_owned())));
        let (said, mut trouble) = (std::sync::Mutex::new(Vec::new()), Trouble::of(Part::Copies));
        let say = |line: &str| said.lock().expect("no other").push(line.to_owned());
        for result in [Ok(()), failed("a"), failed("a"), failed("b"), failed("a"), Ok(()), Ok(()), failed("a")] {
            trouble.tell(&say, &result);
        }
        let told = said.lock().expect("no other").clone();
        let ends: Vec<&str> = told.iter().map(|line| line.rsplit(' ').next().unwrap_or_default()).collect();
        assert_eq!(ends, ["a", "b", "on", "a"], "{told:?}");
        (0..99).for_each(|number| trouble.tell(&say, &failed(&number.to_string())));
        assert_eq!(said.lock().expect("no other").len(), told.len() + CAUSES_MAX - 1);
    }

    /// Nothing is leased; somebody waits when told to.
    #[derive(Default)]
    struct Waiting(Notify);

    impl Portions for Waiting {
        fn standing(&self) -> Vec<Portion> {
            Vec::new()
        }

        fn renewed(&self, _: &Portion, _: Leased, _: Instant) {}

        fn wanted(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
            Box::pin(self.0.notified())
        }

        fn kept(&self, _: Instant, _: Instant) {}

        fn posted(&self) -> Instant {
            Instant::default()
        }

        fn used(&self) -> Vec<UsedTime> {
            Vec::new()
        }

        fn add_used(&self, _: UsedTime) {}

        fn went_well(&self, _: Part) {}
    }

    #[tokio::test]
    async fn leases_are_renewed_early_for_who_waits_and_no_sooner_than_may_be() {
        let (stop, mut stopped) = watch::channel(false);
        let (at_once, hour) = (Duration::ZERO, Duration::from_secs(3600));
        for (waits, soonest, regular, expected) in [
            (true, at_once, hour, Turn::Early),
            (true, hour, at_once, Turn::Regular),
            (false, at_once, at_once, Turn::Regular),
            (true, at_once, at_once, Turn::Regular),
        ] {
            let portions = Waiting::default();
            if waits {
                portions.0.notify_one();
            }
            let turn = next(&mut stopped, &portions, Clock::now() + regular, soonest).await;
            assert_eq!(turn, Some(expected), "{waits} {soonest:?} {regular:?}");
        }
        stop.send_replace(true);
        assert_eq!(next(&mut stopped, &Waiting::default(), Clock::now() + hour, at_once).await, None);
    }
}

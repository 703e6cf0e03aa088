//! The testbed: moto, the proxy and the controls.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::mpsc;
use std::time::Duration;
use std::{io, sync::Arc};

use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use crate::fault::Rule;
use crate::journal::{Call, Gap};
use crate::moto::{Image, Moto};
use crate::proxy::{self, Proxy};
use crate::throttle::Throttle;

/// How a testbed behaves.
#[derive(Clone, Debug)]
pub struct Options {
    /// The Python that moto is installed for: a path, or a name to look up.
    pub python: String,
    /// Where the proxy listens; port 0 for one that the system chooses.
    pub listen: SocketAddr,
    /// The images that EC2 offers.
    pub images: Vec<Image>,
    /// How long each call takes at least.
    pub latency: Duration,
    /// How many bytes a second each request's body arrives at; `None` for as many as can.
    pub uplink: Option<u32>,
    /// A limit on the rate of calls to each service.
    pub throttle: Option<Throttle>,
    /// No page of a list is larger than this, however large a page the client asks for. AWS may do so, too.
    pub page_size: Option<usize>,
    /// Where something that plays the machines says what AWS would learn of them: `machines/<instance>/console.log`,
    /// and in `health.json` what the checks of load balancers have found. Without it, consoles are empty, and every
    /// machine is healthy.
    pub machines: Option<PathBuf>,
    /// Called after every call.
    pub on_call: Option<fn(&Call)>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            python: "python3".to_owned(),
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            images: Image::stock(),
            latency: Duration::ZERO,
            uplink: None,
            throttle: None,
            page_size: None,
            machines: None,
            on_call: None,
        }
    }
}

/// Why a testbed could not be started or used.
#[derive(Debug, thiserror::Error)]
pub enum TestbedError {
    /// moto, or the Python to run it, is not installed.
    #[error("moto is not installed ({reason}); install it with: pip install 'moto[server]==5.2.*'")]
    MotoMissing {
        /// What is missing.
        reason: String,
    },
    /// moto ended before it was ready.
    #[error("moto ended before it was ready:\n{output}")]
    MotoDied {
        /// What moto wrote.
        output: String,
    },
    /// The system refused something.
    #[error("could not {what}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// The system's reason.
        source: io::Error,
    },
    /// moto refused a call that the testbed itself made.
    #[error("moto could not {what}: {reason}")]
    Refused {
        /// What was tried.
        what: &'static str,
        /// moto's reason.
        reason: String,
    },
}

/// A running emulator. Stops, and its processes with it, when dropped.
#[derive(Debug)]
pub struct Testbed {
    proxy: Arc<Proxy>,
    endpoint: String,
    moto: Moto,
    // Last: the proxy runs until everything else is gone.
    runtime: Option<Runtime>,
}

impl Testbed {
    /// Starts moto on a free loopback port and the proxy, and waits until both are ready. Takes a second or two, and
    /// blocks the calling thread meanwhile.
    ///
    /// # Errors
    /// If moto is not installed, does not come up, or the system refuses a process, a thread or a port.
    pub fn start(options: Options) -> Result<Self, TestbedError> {
        let moto = Moto::start(&options.python, &options.images, options.machines.as_deref())?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("kops-testbed")
            .enable_all()
            .build()
            .map_err(|source| TestbedError::Io { what: "start the proxy's threads", source })?;
        let listener = std::net::TcpListener::bind(options.listen)
            .and_then(|listener| listener.set_nonblocking(true).map(|()| listener))
            .map_err(|source| TestbedError::Io { what: "listen for calls", source })?;
        let address = listener
            .local_addr()
            .map_err(|source| TestbedError::Io { what: "learn the proxy's port", source })?;
        let guard = runtime.enter();
        let listener = TcpListener::from_std(listener)
            .map_err(|source| TestbedError::Io { what: "listen for calls", source })?;
        drop(guard);
        let proxy = Arc::new(Proxy::new(&moto, options));
        runtime.spawn(proxy::serve(Arc::clone(&proxy), listener));
        let testbed = Self { proxy, endpoint: format!("http://{address}"), moto, runtime: Some(runtime) };
        testbed.warm_up()?;
        Ok(testbed)
    }

    /// The URL that clients use as endpoint of every service. S3 is addressed by path.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// All calls since the start or the last reset, in order of arrival.
    pub fn calls(&self) -> Vec<Call> {
        self.proxy.journal.calls()
    }

    /// Empties the log of calls. What is emulated stays as it is.
    pub fn clear_calls(&self) {
        self.proxy.journal.clear_calls();
    }

    /// Calls that the emulator could not carry out, because moto does not implement them or failed.
    pub fn gaps(&self) -> Vec<Gap> {
        self.proxy.journal.gaps()
    }

    /// Fails the test if there were [gaps](Self::gaps).
    ///
    /// # Panics
    /// If there were.
    #[expect(clippy::panic, reason = "an assertion")]
    pub fn assert_no_gaps(&self) {
        let gaps = self.gaps();
        if !gaps.is_empty() {
            let list: Vec<String> = gaps.iter().map(Gap::to_string).collect();
            panic!("the emulator could not carry out {} calls:\n{}", list.len(), list.join("\n"));
        }
    }

    /// Makes calls go wrong.
    pub fn inject(&self, rule: Rule) {
        self.proxy.faults.inject(rule);
    }

    /// Lets time pass for everything that lags, without waiting for it.
    pub fn advance(&self, by: Duration) {
        self.proxy.advance(by);
    }

    /// Ends all injected faults, a stop included.
    pub fn clear_faults(&self) {
        self.proxy.faults.clear();
    }

    /// Returns once a [`Fault::Stop`](crate::Fault::Stop) has struck: the moment to cancel the client.
    pub async fn stopped(&self) {
        // The sender lives as long as the proxy, so that waiting can't fail.
        let _ = self.proxy.faults.watch_stopped().wait_for(|stopped| *stopped).await;
    }

    /// Returns once no call is under way. A call goes on to its end when its client has gone, as on AWS.
    pub async fn settled(&self) {
        let _ = self.proxy.journal.watch_under_way().wait_for(|count| *count == 0).await;
    }

    /// Forgets everything: resources, log, gaps and faults.
    ///
    /// # Errors
    /// If moto does not answer.
    pub fn reset(&self) -> Result<(), TestbedError> {
        let proxy = Arc::clone(&self.proxy);
        self.run("reset", async move { proxy.reset().await.map_err(|error| error.message) })
    }

    /// What moto wrote last, such as the traces of its failures.
    pub fn emulator_log(&self) -> String {
        self.moto.stderr.text()
    }

    /// Whether moto is still there.
    pub fn is_running(&mut self) -> bool {
        self.moto.is_running()
    }

    /// The first call to a service makes moto load it.
    fn warm_up(&self) -> Result<(), TestbedError> {
        let proxy = Arc::clone(&self.proxy);
        self.run("warm up", async move { proxy.warm_up().await.map_err(|error| error.message) })
    }

    /// Runs a future on the proxy's threads, and blocks this one.
    fn run<T: Send + 'static>(
        &self,
        what: &'static str,
        future: impl Future<Output = Result<T, String>> + Send + 'static,
    ) -> Result<T, TestbedError> {
        let (sender, receiver) = mpsc::channel();
        if let Some(runtime) = &self.runtime {
            runtime.spawn(async move {
                // Nobody to tell when the receiver has gone.
                let _ = sender.send(future.await);
            });
        }
        match receiver.recv() {
            Ok(result) => result.map_err(|reason| TestbedError::Refused { what, reason }),
            Err(gone) => Err(TestbedError::Refused { what, reason: gone.to_string() }),
        }
    }
}

impl Drop for Testbed {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Not the ordinary drop: that would block, which is not allowed inside another runtime.
            runtime.shutdown_background();
        }
    }
}

//! The routes, and the life of a request from its body to its answer.

use std::future::IntoFuture as _;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use axum::{Router, middleware};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot};

use crate::args::Args;
use crate::door;
use crate::error::ApiError;
use crate::inbox::{Event, Inbox, Job, Usage};
use crate::model::Model;
use crate::reply::{Choice, Head};
use crate::request::{Prompt, Request, Shape};
use crate::stats::{Outcome, Stats};
use crate::stream::{Answer, add_usage};

/// The largest body that is read.
const BODY_BYTES_MAX: usize = 4 * 1024 * 1024;
/// How long connections have to take their last bytes, after all answers were ended.
const FLUSH: Duration = Duration::from_secs(1);

/// What the handlers share.
pub struct App {
    name: String,
    context: usize,
    slots: u16,
    model: Arc<Model>,
    inbox: Arc<Inbox>,
    stats: Arc<Stats>,
    answers: AtomicU64,
}

impl App {
    /// Handlers for a loaded model.
    pub fn new(args: &Args, model: Arc<Model>, inbox: Arc<Inbox>, stats: Arc<Stats>) -> Self {
        let context = args.context.get() as usize;
        Self { name: args.name.clone(), context, slots: args.slots, model, inbox, stats, answers: AtomicU64::new(0) }
    }
}

/// Serves until SIGTERM or Ctrl-C, then lets running answers end for `grace`; fails when the batch thread has `ended`.
pub async fn serve(listener: TcpListener, app: App, grace: Duration, ended: oneshot::Receiver<()>) -> anyhow::Result<()> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let inbox = Arc::clone(&app.inbox);
    let (close, closing) = oneshot::channel::<()>();
    let port = listener.local_addr()?.port();
    let server = axum::serve(listener, router(app, port)).with_graceful_shutdown(async {
        // Also when the sender is gone there's nobody left to serve for.
        closing.await.unwrap_or_default();
    });
    let mut server = std::pin::pin!(server.into_future());
    tokio::select! {
        served = &mut server => return Ok(served?),
        _ = ended => anyhow::bail!("the batch thread ended"),
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    inbox.drain();
    // The server may have gone first.
    close.send(()).unwrap_or_default();
    if let Ok(served) = tokio::time::timeout(grace, &mut server).await {
        return Ok(served?);
    }
    inbox.stop();
    match tokio::time::timeout(FLUSH, server).await {
        Ok(served) => Ok(served?),
        // A client that doesn't read its last bytes is left behind.
        Err(_) => Ok(()),
    }
}

fn router(app: App, port: u16) -> Router {
    Router::new()
        .route("/v1/chat/completions", post(chat))
        .route("/v1/completions", post(text))
        .route("/v1/models", get(models))
        .route("/v1/models/{*id}", get(model))
        .route("/healthz", get(healthz))
        .route("/metrics", get(metrics))
        .fallback(async |uri: Uri| ApiError::no_route(StatusCode::NOT_FOUND, uri.path()))
        .method_not_allowed_fallback(async |method: Method, uri: Uri| {
            ApiError::no_route(StatusCode::METHOD_NOT_ALLOWED, &format!("{method} {}", uri.path()))
        })
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(middleware::from_fn_with_state(port, door::guard))
        .with_state(Arc::new(app))
}

async fn chat(State(app): State<Arc<App>>, body: Result<Bytes, BytesRejection>) -> Result<Response, ApiError> {
    answer(app, Shape::Chat, body).await
}

async fn text(State(app): State<Arc<App>>, body: Result<Bytes, BytesRejection>) -> Result<Response, ApiError> {
    answer(app, Shape::Text, body).await
}

async fn answer(app: Arc<App>, shape: Shape, body: Result<Bytes, BytesRejection>) -> Result<Response, ApiError> {
    let body = body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => ApiError::too_large(BODY_BYTES_MAX),
        _ => ApiError::malformed(rejection.body_text()),
    })?;
    let head_number = app.answers.fetch_add(1, Relaxed);
    let prepared = {
        let app = Arc::clone(&app);
        // A long prompt takes a while to tokenise, and other connections shouldn't wait for it.
        tokio::task::spawn_blocking(move || prepare(&app, shape, &body)).await
    };
    let (request, jobs, mut events) = prepared.map_err(|_| ApiError::internal("the request could not be read"))??;
    app.inbox.submit(jobs).inspect_err(|_| app.stats.ended(Outcome::Refused))?;
    // Nothing is answered before the first event, so that until then a failure has its own status.
    let first = match events.recv().await {
        Some((_, Event::Failed(failure))) => return Err(failure.into()),
        Some(first) => first,
        None => return Err(ApiError::internal("the engine ended")),
    };
    let head = Head::new(shape, head_number, request.model, request.chances.is_some());
    if request.stream {
        let answer = Answer::new(head, first, events, request.choices, request.stream_usage);
        let kind = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-cache")];
        return Ok((kind, Body::from_stream(answer)).into_response());
    }
    let (choices, usage) = gather(first, events, request.choices).await?;
    Ok(Json(head.whole(&choices, usage)).into_response())
}

type Prepared = (Request, Vec<Job>, mpsc::Receiver<(u16, Event)>);

/// Checks a request and turns it into one job per choice.
fn prepare(app: &App, shape: Shape, body: &[u8]) -> Result<Prepared, ApiError> {
    // A hasher's keys are random, which is all that a seed has to be.
    let [a, b, c, d, ..] = RandomState::new().hash_one(()).to_ne_bytes();
    let random = u32::from_ne_bytes([a, b, c, d]);
    let request = Request::read(shape, body, app.slots, app.model.vocabulary(), random)?;
    if request.model != app.name {
        return Err(ApiError::no_model(&request.model));
    }
    let prompt = match &request.prompt {
        Prompt::Text(text) => app.model.text_tokens(text),
        Prompt::Chat(messages) => {
            let template = app.model.template().ok_or_else(|| ApiError::invalid("messages", "this model has no chat template"))?;
            let rendered = template.render(messages);
            app.model.chat_tokens(&rendered.map_err(|error| ApiError::invalid("messages", error.to_string()))?)
        }
    };
    if prompt.is_empty() {
        return Err(ApiError::invalid(shape.prompt_param(), "the prompt is empty"));
    }
    let room = app.context.saturating_sub(prompt.len());
    if room == 0 {
        return Err(ApiError::too_long(shape.prompt_param(), prompt.len(), app.context));
    }
    let tokens_max = request.tokens_max.map_or(room, |asked| asked.min(room));
    // A piece for each token, one for withheld text, and the end: more events a job can't have.
    let (sender, events) = mpsc::channel(usize::from(request.choices) * (tokens_max + 2));
    let job = |index: u16| {
        let mut sampling = request.sampling.clone();
        sampling.seed = sampling.seed.wrapping_add(u32::from(index));
        let (stops, chances) = (request.stops.clone(), request.chances);
        Job { index, prompt: prompt.clone(), tokens_max, sampling, stops, chances, events: sender.clone() }
    };
    let jobs = (0..request.choices).map(job).collect();
    Ok((request, jobs, events))
}

/// Waits for all choices to be whole.
async fn gather(first: (u16, Event), mut events: mpsc::Receiver<(u16, Event)>, count: u16) -> Result<(Vec<Choice>, Usage), ApiError> {
    let mut choices: Vec<Choice> = std::iter::repeat_with(Choice::default).take(usize::from(count)).collect();
    let mut usage = Usage::default();
    let mut next = Some(first);
    while let Some((index, event)) = next {
        match event {
            Event::Piece(piece) => {
                choices[usize::from(index)].piece.text += &piece.text;
                choices[usize::from(index)].piece.tokens.extend(piece.tokens);
            }
            Event::Finished { finish, usage: used } => {
                choices[usize::from(index)].finish = Some(finish);
                add_usage(&mut usage, used);
            }
            Event::Failed(failure) => return Err(failure.into()),
        }
        if choices.iter().all(|choice| choice.finish.is_some()) {
            return Ok((choices, usage));
        }
        next = events.recv().await;
    }
    Err(ApiError::internal("the engine ended"))
}

async fn models(State(app): State<Arc<App>>) -> Json<Value> {
    Json(json!({"object": "list", "data": [model_value(&app)]}))
}

async fn model(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Json<Value>, ApiError> {
    if id == app.name { Ok(Json(model_value(&app))) } else { Err(ApiError::no_model(&id)) }
}

fn model_value(app: &App) -> Value {
    json!({"id": app.name, "object": "model", "created": 0, "owned_by": "baseload", "max_model_len": app.context})
}

async fn healthz(State(app): State<Arc<App>>) -> (StatusCode, &'static str) {
    if app.inbox.open() { (StatusCode::OK, "ok\n") } else { (StatusCode::SERVICE_UNAVAILABLE, "shutting down\n") }
}

async fn metrics(State(app): State<Arc<App>>) -> impl IntoResponse {
    let (running, waiting) = app.inbox.load();
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], app.stats.render(running, waiting))
}

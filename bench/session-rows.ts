import { createHash } from "node:crypto";
import { DatabaseSync } from "node:sqlite";
import pg from "pg";

/** How much a database holds. */
export interface Size {
  sessions: number;
  /** Ten a session, spread over time. */
  runs: number;
  users: number;
}

/** The id of the n-th session. */
export function sessionId(n: number): string {
  return `session-${String(n).padStart(8, "0")}`;
}

/** The id of the n-th user. */
export function userId(n: number): string {
  return `user${n}`;
}

const syllables =
  "ba be bi bo bu da de di do du fa fe fi fo fu ga ge gi go gu ka ke ki ko ku la le li lo lu".split(" ");

/** The n-th word of a made-up language of 3,000; the first are said most often. */
export function word(n: number): string {
  const at = n * 29 + 11;
  return [at, Math.floor(at / 30), Math.floor(at / 900)].map((i) => syllables[i % 30]).join("") + (n % 7);
}

const vocabulary = Array.from({ length: 3000 }, (_, n) => word(n));

const state = '{"step":1,"cart":["a","b"]}';
const metrics = '{"input_tokens":140,"output_tokens":12,"total_tokens":152}';
const start = 1_760_000_000_000;

/** Fills the tables of an empty database by the database's own means. It is vacuumed then, as a living one is. */
export async function fillPostgres(url: string, { sessions, runs, users }: Size): Promise<void> {
  const client = new pg.Client(url);
  await client.connect();
  const run = (sql: string) => client.query(sql);
  try {
    await run("SET search_path TO agentos");
    await run("SET synchronous_commit TO off");
    await run("SET maintenance_work_mem TO '512MB'");
    const { rows } = await client.query<{ indexdef: string }>(
      "SELECT indexdef FROM pg_indexes WHERE schemaname = 'agentos' AND indexname = 'session_texts_by_words'",
    );
    await run("DROP INDEX session_texts_by_words");
    const session = (n: string) => `'session-' || lpad((${n})::text, 8, '0')`;
    const owner = (n: string) => `'u' || left(encode(sha256(('user' || ${n})::bytea), 'hex'), 32)`;
    await run(`
      INSERT INTO sessions (session_id, agent_id, user_id, name, named_by, state, created_at, updated_at)
      SELECT ${session("n")}, 'copilot', 'user' || n % ${users}, 'talk ' || n, 'message', '${state}', ${start} + n * 1000,
        ${start} + (n * 7919 % ${sessions}) * 1000
      FROM generate_series(0, ${sessions - 1}) n`);
    await run(`
      CREATE UNLOGGED TABLE said AS SELECT n, (
        SELECT string_agg((ARRAY[${vocabulary.map((one) => `'${one}'`).join(",")}])[1 + floor(power(random(), 3) * 3000)::int], ' ')
        FROM generate_series(1, 14 + n * 0)
      ) || ' unique' || n AS text FROM generate_series(1, ${runs}) n`);
    await run(`
      INSERT INTO runs (run_id, session_id, agent_id, user_id, status, attempt, input, content, metadata, metrics,
        input_tokens, output_tokens, total_tokens, model, model_provider, created_at, updated_at, started_at, ended_at)
      SELECT 'run_' || n, ${session(`n % ${sessions}`)}, 'copilot', 'user' || (n % ${sessions}) % ${users}, 'completed', 1,
        json_build_object('input_content', text)::text, to_json(text)::text, '{}', '${metrics}', 140, 12, 152, 'gpt-5.5',
        'OpenAI', ${start} + n * 1000, ${start} + n * 1000, ${start} + n * 1000, ${start} + n * 1000
      FROM said ORDER BY n`);
    await run(`
      INSERT INTO messages (run_id, position, role, message)
      SELECT 'run_' || n, p, CASE p WHEN 0 THEN 'system' WHEN 1 THEN 'user' ELSE 'assistant' END,
        json_build_object('id', n || '-' || p, 'role', CASE p WHEN 0 THEN 'system' WHEN 1 THEN 'user' ELSE 'assistant' END,
          'content', text, 'created_at', 1760000000, 'from_history', false, 'stop_after_tool_call', false)::text
      FROM said, generate_series(0, 2) p ORDER BY n, p`);
    await run(`
      INSERT INTO session_texts (session_id, run_id, owner, text)
      SELECT ${session("n")}, '', ${owner(`n % ${users}`)}, 'talk ' || n FROM generate_series(0, ${sessions - 1}) n`);
    await run(`
      INSERT INTO session_texts (session_id, run_id, owner, text)
      SELECT ${session(`n % ${sessions}`)}, 'run_' || n, ${owner(`(n % ${sessions}) % ${users}`)}, text FROM said ORDER BY n`);
    await run("DROP TABLE said");
    await run(rows[0]?.indexdef ?? "");
    await run("VACUUM ANALYZE");
  } finally {
    await client.end();
  }
}

/** Fills the tables of an empty database that nobody has open. */
export function fillSqlite(path: string, { sessions, runs, users }: Size): void {
  const db = new DatabaseSync(path);
  const session = db.prepare(
    `INSERT INTO sessions (session_id, agent_id, user_id, name, named_by, state, created_at, updated_at)
     VALUES (?, 'copilot', ?, ?, 'message', '${state}', ?, ?)`,
  );
  const run = db.prepare(
    `INSERT INTO runs (run_id, session_id, agent_id, user_id, status, attempt, input, content, metadata, metrics,
       input_tokens, output_tokens, total_tokens, model, model_provider, created_at, updated_at, started_at, ended_at)
     VALUES (?, ?, 'copilot', ?, 'completed', 1, ?, ?, '{}', '${metrics}', 140, 12, 152, 'gpt-5.5', 'OpenAI', ?, ?, ?, ?)`,
  );
  const message = db.prepare("INSERT INTO messages (run_id, position, role, message) VALUES (?, ?, ?, ?)");
  const text = db.prepare("INSERT INTO session_texts (session_id, run_id, owner, text) VALUES (?, ?, ?, ?)");
  const owner = (user: string) => `u${createHash("sha256").update(user).digest("hex").slice(0, 32)}`;
  db.exec("PRAGMA synchronous = OFF; BEGIN");
  for (let n = 0; n < sessions; n++) {
    const user = userId(n % users);
    session.run(sessionId(n), user, `talk ${n}`, start + n * 1000, start + ((n * 7919) % sessions) * 1000);
    text.run(sessionId(n), "", owner(user), `talk ${n}`);
  }
  for (let n = 1; n <= runs; n++) {
    const [of, id, at] = [n % sessions, `run_${n}`, start + n * 1000];
    const user = userId(of % users);
    const words = Array.from({ length: 14 }, () => vocabulary[Math.floor(Math.random() ** 3 * 3000)]);
    const said = `${words.join(" ")} unique${n}`;
    const input = JSON.stringify({ input_content: said });
    run.run(id, sessionId(of), user, input, JSON.stringify(said), at, at, at, at);
    for (const [position, role] of ["system", "user", "assistant"].entries()) {
      const one = { id: `${n}-${position}`, role, content: said, created_at: 1760000000 };
      message.run(
        id,
        position,
        role,
        JSON.stringify({ ...one, from_history: false, stop_after_tool_call: false }),
      );
    }
    text.run(sessionId(of), id, owner(user), said);
  }
  db.exec("COMMIT; ANALYZE");
  db.close();
}

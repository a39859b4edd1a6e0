/**
 * Locked: every caller needs a token, and each user sees its own data alone. Tokens come from your issuer; here a key is made
 * for the moment, and a token of an hour is printed.
 *
 *   curl -X POST http://localhost:7777/agents/copilot/runs \
 *     -H "Authorization: Bearer $TOKEN" -F 'message=Hello' -F 'stream=false'
 *   curl http://localhost:7777/reports/7 -H "Authorization: Bearer $TOKEN"
 */
import {
  Agent,
  AgentOS,
  databaseFromEnvironment,
  modelFromEnvironment,
  principalOf,
  requireScope,
} from "agentos-ts";
import { exportSPKI, generateKeyPair, SignJWT } from "jose";

const { publicKey, privateKey } = await generateKeyPair("RS256");

const agentOS = new AgentOS({
  agents: [new Agent({ id: "copilot", model: modelFromEnvironment(), db: databaseFromEnvironment() })],
  authorization: { verificationKeys: await exportSPKI(publicKey), issuer: "https://login.acme.com" },
  limits: { perUser: { requestsPerMinute: 120, concurrentRuns: 5 } },
});

// A route that does not say what it needs is closed.
agentOS
  .getApp()
  .get("/reports/:id", requireScope("reports:read", { param: "id" }), (c) =>
    c.json({ report: c.req.param("id"), for: principalOf(c).userId }),
  );

await agentOS.serve();

const token = await new SignJWT({ scopes: ["agents:run", "sessions:read", "reports:7:read"] })
  .setProtectedHeader({ alg: "RS256" })
  .setIssuer("https://login.acme.com")
  .setSubject("sarah@acme.com")
  .setExpirationTime("1h")
  .sign(privateKey);
console.log(`TOKEN=${token}`);

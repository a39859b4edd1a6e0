import { Agent, AgentOS, EchoModel } from "agentos-ts";

/** A program that has a typo in an option. */
const agent = new Agent({ id: "copilot", model: new EchoModel(), addHistroyToContext: true } as never);
await new AgentOS({ agents: [agent] }).serve();

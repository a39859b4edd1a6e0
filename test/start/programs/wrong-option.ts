import { Agent, AgentOS, EchoModel } from "agentos-ts";

/** A program that asks for what a later version brings. */
const agent = new Agent({ id: "copilot", model: new EchoModel(), enableAgenticMemory: true } as never);
await new AgentOS({ agents: [agent] }).serve();

/**
 * Makes `src/client/answers.ts`: the types of what the server answers, from its OpenAPI document. Run by
 * `npm run client:types` whenever an answer has changed; a test fails where it was forgotten.
 */
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { Agent, AgentOS, EchoModel } from "agentos-ts";
import { runStatuses } from "../src/events/run.ts";

interface Schema {
  $ref?: string;
  description?: string;
  type?: string | string[];
  enum?: unknown[];
  const?: unknown;
  anyOf?: Schema[];
  oneOf?: Schema[];
  allOf?: Schema[];
  items?: Schema;
  properties?: Record<string, Schema>;
  required?: string[];
  additionalProperties?: Schema | boolean;
}

interface Document {
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, Schema> };
}

interface Operation {
  operationId: string;
  responses: Record<string, { content?: Record<string, { schema: Schema }> }>;
}

/** Types that the package has already: the log's own. */
const known: Record<string, string> = {
  JsonObject: "json",
  JsonValue: "json",
  MediaReference: "messages",
  Message: "messages",
  Requirement: "requirements",
  RunMetrics: "metrics",
  RunStatus: "run",
  ToolExecution: "tool-execution",
};

/** The one document that describes itself is read as it is. */
const undescribed = new Set(["openapi"]);

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const file = "src/client/answers.ts";

/** The text of the file. */
export async function clientTypes(): Promise<string> {
  const os = new AgentOS({
    agents: [new Agent({ id: "copilot", model: new EchoModel() })],
    logLevel: "silent",
  });
  const document = (await (await os.getApp().request("/openapi.json")).json()) as Document;
  await os.close();
  return formatted(new Types(document).text());
}

class Types {
  readonly #schemas: Record<string, Schema>;
  readonly #operations: (Operation & { call: string })[];
  /** The interfaces by name. */
  readonly #made = new Map<string, string>();
  readonly #imported = new Set<string>();

  constructor({ paths, components }: Document) {
    this.#schemas = components.schemas;
    this.#operations = Object.entries(paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]) => ({
        ...operation,
        call: `${method.toUpperCase()} ${path}`,
      })),
    );
  }

  text(): string {
    for (const { operationId, call, responses } of this.#operations) {
      if (undescribed.has(operationId)) continue;
      for (const [status, { content }] of Object.entries(responses)) {
        const schema = content?.["application/json"]?.schema;
        if (schema && Number(status) < 300) this.#answer(operationId, schema, `In answers of \`${call}\`.`);
      }
    }
    const imports = [...this.#imported].toSorted().map((name) => {
      return `import type { ${name} } from "../events/${known[name]}.ts";`;
    });
    const types = [...this.#made].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, type]) => type);
    return [
      imports.join("\n"),
      "/** What the server answers: made by `npm run client:types` from its OpenAPI document, never by hand. */",
      ...types,
    ].join("\n\n");
  }

  /** An answer that has no name of its own gets that of its operation. */
  #answer(operationId: string, schema: Schema, where: string): void {
    if (schema.$ref === undefined && schema.type === "object") {
      if (Object.keys(schema.properties ?? {}).length > 0) this.#make(pascal(operationId), schema, where);
    } else this.#type(schema, where);
  }

  #make(name: string, schema: Schema, where: string): void {
    if (this.#made.has(name)) return;
    // Before its parts, for they may lead back to it.
    this.#made.set(name, "");
    const comment = `/** ${schema.description ?? where} */\n`;
    this.#made.set(name, `${comment}export interface ${name} ${this.#object(schema, where)}`);
  }

  #object({ properties = {}, required = [], additionalProperties }: Schema, where: string): string {
    const fields = Object.entries(properties).map(([name, schema]) => {
      const comment = schema.description && schema.$ref === undefined ? `/** ${schema.description} */\n` : "";
      return `${comment}${name}${required.includes(name) ? "" : "?"}: ${this.#type(schema, where)};`;
    });
    if (additionalProperties) fields.push("/** What else it has. */\n[more: string]: unknown;");
    return `{\n${fields.join("\n")}\n}`;
  }

  #type(schema: Schema, where: string): string {
    if (schema.$ref !== undefined) return this.#named(schema.$ref.split("/").at(-1)!, where);
    const { type, anyOf, oneOf, items, properties } = schema;
    const choices = anyOf ?? oneOf;
    if (choices) return choices.map((choice) => this.#type(choice, where)).join(" | ");
    if (schema.const !== undefined) return JSON.stringify(schema.const);
    if (schema.enum) {
      const isStatus = runStatuses.every((status) => schema.enum!.includes(status));
      return isStatus ? this.#import("RunStatus") : schema.enum.map((one) => JSON.stringify(one)).join(" | ");
    }
    if (Array.isArray(type)) {
      return type.map((one) => this.#type({ ...schema, type: one }, where)).join(" | ");
    }
    switch (type) {
      case "string":
      case "boolean":
      case "null":
        return type;
      case "number":
      case "integer":
        return "number";
      case "array":
        return `(${this.#type(items ?? {}, where)})[]`;
      case "object":
        return properties ? this.#object(schema, where) : this.#import("JsonObject");
      default:
        return this.#import("JsonValue");
    }
  }

  #named(name: string, where: string): string {
    if (known[name] !== undefined) return this.#import(name);
    const schema = this.#whole(this.#schemas[name]!);
    const isList = schema.type === "array" && schema.items?.properties !== undefined;
    if (isList) {
      // The list is named for what it holds, and what it holds has a shape.
      const one = name.replace(/s$/, "");
      this.#make(one, schema.items!, where);
      return `${one}[]`;
    }
    const isObject = schema.type === "object" && schema.properties !== undefined;
    if (!isObject) return this.#type(schema, where);
    this.#make(name, schema, where);
    return name;
  }

  /** An object that extends another as one. */
  #whole(schema: Schema): Schema {
    const { allOf, ...rest } = schema;
    if (!allOf) return schema;
    const parts = allOf.map((part) => {
      const named = part.$ref === undefined ? part : this.#schemas[part.$ref.split("/").at(-1)!]!;
      return this.#whole(named);
    });
    return {
      type: "object",
      ...rest,
      properties: Object.assign({}, ...parts.map(({ properties }) => properties)),
      required: parts.flatMap(({ required = [] }) => required),
    };
  }

  #import(name: string): string {
    this.#imported.add(name);
    return name;
  }
}

function pascal(operationId: string): string {
  return operationId.replace(/(?:^|_)(\w)/g, (_, letter: string) => letter.toUpperCase());
}

function formatted(text: string): string {
  const biome = join(root, "node_modules", ".bin", "biome");
  const { status, stdout, stderr } = spawnSync(biome, ["check", "--write", `--stdin-file-path=${file}`], {
    cwd: root,
    input: text,
    encoding: "utf8",
  });
  if (status !== 0) throw new Error(`biome cannot format the types: ${stderr}`);
  return stdout;
}

if (import.meta.main) writeFileSync(join(root, file), await clientTypes());

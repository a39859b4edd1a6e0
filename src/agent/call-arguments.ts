/**
 * The arguments of a call, as the model wrote them. Undefined where the text is no JSON. No text at all counts as an empty
 * object: some models send that.
 */
export function parsed(text: string): unknown {
  if (text.trim() === "") return {};
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

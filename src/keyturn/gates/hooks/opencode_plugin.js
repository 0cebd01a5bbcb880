// Keyturn's gate inside opencode. Written by `keyturn hook install opencode`; edits are overwritten.
//
// Before each tool call the plugin asks Keyturn over its Unix socket and throws, which stops the call, on anything
// but a clear allow: a refusal, an answer it can't read, a closed or missing socket. The installed configuration
// denies every tool; only this plugin, once it is loaded, lifts that. So a plugin that doesn't load stops the agent
// instead of freeing it.

import net from "node:net"

const SOCKET = "@SOCKET@"
const VERSION = "@VERSION@"
const MAX_ANSWER = 2 * 1024 * 1024
const RECONNECT = 20000 // milliseconds a server may be away, once it has the question
const PAUSE = 200
const NO_ANSWER = "keyturn: no answer from Keyturn, so this did not run. Do not retry; tell the human"

// A held request outlives the server's process: once it has the question, it is asked again for a while.
async function ask(event, cwd, payload) {
  let lost = 0
  for (;;) {
    const began = Date.now()
    try {
      return await once(event, cwd, payload)
    } catch (error) {
      const hungUp = error.cause === "hung up"
      if (hungUp && Date.now() - began > PAUSE) lost = Date.now()
      if (lost === 0 || Date.now() - lost > RECONNECT) throw error
    }
    await new Promise((done) => setTimeout(done, PAUSE))
  }
}

// One question, one answer: uint32 length, then `H` + five NUL-terminated fields + JSON.
function once(event, cwd, payload) {
  return new Promise((resolve, reject) => {
    const fields = ["H" + VERSION, "opencode", event, cwd, String(process.pid)].join("\0") + "\0"
    const body = Buffer.concat([Buffer.from(fields), Buffer.from(JSON.stringify(payload))])
    const head = Buffer.alloc(4)
    head.writeUInt32BE(body.length)
    const chunks = []
    const socket = net.createConnection({ path: SOCKET })
    let sent = false
    const fail = (why, gone) => {
      socket.destroy()
      reject(new Error(`${NO_ANSWER} (${why}).`, gone && sent ? { cause: "hung up" } : undefined))
    }
    socket.on("connect", () => {
      sent = true
      socket.write(Buffer.concat([head, body]))
    })
    socket.on("error", (error) => fail(error.code || error.message, true))
    socket.on("close", () => fail("the connection closed", true))
    socket.on("data", (chunk) => {
      chunks.push(chunk)
      const all = Buffer.concat(chunks)
      if (all.length < 4) return
      const length = all.readUInt32BE(0)
      if (length > MAX_ANSWER) return fail("the answer is too long")
      if (all.length < 4 + length) return
      socket.removeAllListeners("close")
      socket.end()
      resolve(all.subarray(4, 4 + length))
    })
  })
}

// `E` + JSON is an error; else status byte, uint32 length of stdout, stdout, stderr.
function read(answer) {
  if (answer.length === 0) throw new Error(`${NO_ANSWER} (an empty answer).`)
  if (answer[0] === 0x45) throw new Error("keyturn: " + words(answer.subarray(1)))
  if (answer.length < 5) throw new Error(`${NO_ANSWER} (a cut answer).`)
  const size = answer.readUInt32BE(1)
  const stdout = answer.subarray(5, 5 + size)
  if (stdout.length !== size) throw new Error(`${NO_ANSWER} (a cut answer).`)
  if (answer[0] !== 0) throw new Error(answer.subarray(5 + size).toString().trim() || NO_ANSWER)
  return stdout.toString()
}

function words(json) {
  const error = JSON.parse(json.toString()).error
  return `${error.happened} ${error.not_done} ${error.next} [${error.code}]`
}

export const Keyturn = async ({ directory }) => {
  const cwd = directory || process.cwd()
  const note = async (event, payload) => {
    try {
      await ask(event, cwd, payload)
    } catch {
      // Telling Keyturn what happened stops nothing; the next tool call finds out that nobody answers.
    }
  }
  return {
    config: async (config) => {
      config.permission = { "*": "allow" }
      for (const agent of Object.values(config.agent || {})) delete agent.permission
    },
    "chat.message": async (input, output) => {
      const text = output.parts.filter((part) => part.type === "text" && !part.synthetic).map((part) => part.text).join("\n")
      const model = input.model ? `${input.model.providerID}/${input.model.modelID}` : ""
      await note("chat.message", { sessionID: input.sessionID, agent: input.agent || "", model, text })
    },
    "tool.execute.before": async (input, output) => {
      const payload = { sessionID: input.sessionID, callID: input.callID, tool: input.tool, args: output.args }
      const verdict = JSON.parse(read(await ask("tool.execute.before", cwd, payload)))
      if (verdict === null || verdict.decision !== "allow") throw new Error(NO_ANSWER + " (no clear allow).")
      if (typeof verdict.command === "string") output.args.command = verdict.command
    },
    "tool.execute.after": async (input, output) => {
      const metadata = output.metadata || {}
      await note("tool.execute.after", {
        sessionID: input.sessionID,
        callID: input.callID,
        tool: input.tool,
        args: input.args || {},
        output: typeof output.output === "string" ? output.output.slice(0, 65536) : "",
        exit: typeof metadata.exit === "number" ? metadata.exit : null,
      })
    },
    event: async ({ event }) => {
      if (event.type !== "session.created" && event.type !== "session.deleted") return
      const info = event.properties.info || {}
      await note(event.type, { sessionID: info.id || event.properties.sessionID || "", version: info.version || "", parentID: info.parentID || "" })
    },
  }
}

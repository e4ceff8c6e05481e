"use strict"
const { models, max_bytes, max_seed } = JSON.parse(document.getElementById("page-data").textContent)
const MAX_RESULTS = 60, POLL_MILLISECONDS = 400
const get = id => document.getElementById(id)
const results = [] // of this visit, the latest first: { url, file, input, caption, name, notes }
let running = null, shown = null // running: the controller of the request, with its input

const chosenModel = () => models[get("model").value]

function showModel() {
  const model = chosenModel()
  get("directions").replaceChildren(...Object.entries(model.directions).map(([value, text]) => {
    const label = document.createElement("label"), input = document.createElement("input"), span = document.createElement("span")
    Object.assign(input, { type: "radio", name: "direction", value, checked: value === model.direction })
    span.textContent = text
    label.append(input, span)
    return label
  }))
  get("label").replaceChildren(...model.classes.map(name => new Option(name)))
  get("strength-hint").textContent = model.strength === "style" ? "0 % is the photo's own style" : "0 % is the input"
  get("start").textContent = model.generates ? "Generate" : "Translate"
  showFields()
  showNumbers()
}

function showFields() {
  const model = chosenModel()
  const offered = {
    image: !model.generates, direction: Object.keys(model.directions).length > 1, references: model.references,
    strength: model.strength, classes: model.classes.length, truncation: model.truncation, seed: usesSeed(model), size: !model.generates,
  }
  for (const field of document.querySelectorAll("[data-for]")) {
    field.hidden = !offered[field.dataset.for]
    for (const control of field.querySelectorAll("input, select")) control.disabled = field.hidden // and not validated
  }
}

const usesReference = model => Boolean(model.references && chosen.reference)
const usesSeed = model => model.seed && !usesReference(model) // a style image takes the place of a random style

function showNumbers() {
  get("strength-value").textContent = `${get("strength").value} %`
  get("truncation-value").textContent = (get("truncation").value / 100).toFixed(2)
}

// Images that are chosen, dropped or pasted

const chosen = { image: null, reference: null } // { file, url }

function choose(name, file) {
  const zone = get(`${name}-zone`), image = zone.querySelector("img")
  const old = chosen[name]
  chosen[name] = file ? { file, url: URL.createObjectURL(file) } : null
  forget(old)
  image.hidden = !file
  if (file) image.src = chosen[name].url
  else image.removeAttribute("src")
  zone.querySelector(".zone-text").textContent = file ? `${file.name}, ${megabytes(file.size)}` : "Choose another"
  if (name === "reference") get("no-reference").hidden = !file
  showFields()
  showError(file && file.size > max_bytes ? `${file.name} has ${megabytes(file.size)}; at most ${megabytes(max_bytes)} can be uploaded` : "")
}

const megabytes = bytes => `${(bytes / 1e6).toFixed(bytes < 1e6 ? 2 : 1)} MB`

function forget(input) {
  const inUse = [chosen.image, running?.input, ...results.map(result => result.input)]
  if (input && !inUse.includes(input)) URL.revokeObjectURL(input.url)
}

for (const name of ["image", "reference"]) {
  const zone = get(`${name}-zone`)
  get(name).addEventListener("change", ({ target }) => {
    if (target.files.length) choose(name, target.files[0])
    target.value = "" // so that the same file can be chosen again
  })
  zone.querySelector("img").addEventListener("error", event => { event.target.hidden = true }) // such as TIFF
  zone.addEventListener("dragover", () => zone.classList.add("over"))
  for (const end of ["dragleave", "drop"]) zone.addEventListener(end, () => zone.classList.remove("over"))
}
document.addEventListener("dragover", event => event.preventDefault())
document.addEventListener("drop", event => {
  event.preventDefault()
  const name = get("reference-zone").contains(event.target) ? "reference" : "image"
  if (event.dataTransfer.files.length) choose(name, event.dataTransfer.files[0])
})
document.addEventListener("paste", event => {
  if (event.clipboardData.files.length) choose("image", event.clipboardData.files[0])
})
get("no-reference").addEventListener("click", () => choose("reference", null))

// A request

function formOf(model) {
  const form = new FormData()
  const fields = { model: get("model").value }
  if (usesSeed(model)) fields.seed = get("seed").value
  if (model.generates) {
    if (model.classes.length) fields.label = get("label").value
    if (model.truncation) fields.truncation = get("truncation").value / 100
  } else {
    fields.direction = document.querySelector("[name=direction]:checked").value
    fields.strength = get("strength").value / 100
    if (get("size").value) fields.size = get("size").value
    form.append("image", chosen.image.file)
    if (usesReference(model)) form.append("reference", chosen.reference.file)
  }
  for (const [name, value] of Object.entries(fields)) form.append(name, value)
  return { form, fields }
}

async function start() {
  const model = chosenModel()
  if (running) return
  if (!model.generates && !chosen.image) {
    showError("Choose an image first.")
    get("image").focus()
    return
  }
  const { form, fields } = formOf(model), input = model.generates ? null : chosen.image
  const style = usesReference(model) ? `style of ${chosen.reference.file.name}` : ""
  const ticket = Array.from(crypto.getRandomValues(new Uint8Array(16)), byte => byte.toString(16).padStart(2, "0")).join("")
  running = Object.assign(new AbortController(), { input })
  const began = performance.now(), { signal } = running
  showError("")
  showWorking(true)
  follow(ticket, signal, began)
  try {
    const response = await fetch(`/image?ticket=${ticket}`, { method: "POST", body: form, signal })
    if (!response.ok) throw new Error((await response.json().catch(() => ({}))).error ?? response.statusText)
    const blob = await response.blob()
    const notes = response.headers.get("X-Notes") ?? ""
    addResult(model, fields, style, input, blob, notes)
    showStatus(`Done in ${seconds(began)}`)
    get("stage").scrollIntoView({ block: "nearest" })
  } catch (error) {
    const unanswered = error instanceof TypeError ? "The server does not answer. Is stylegan-lab serve still running?" : sentence(error.message)
    showStatus(signal.aborted ? "Cancelled" : "")
    if (!signal.aborted) showError(unanswered)
  }
  running.abort()
  running = null
  forget(input)
  showWorking(false)
}

async function follow(ticket, signal, began) {
  while (!signal.aborted) {
    try {
      const response = await fetch(`/queue/${ticket}`, { signal })
      const state = response.ok ? await response.json() : {}
      if (signal.aborted) return
      const inWork = state.before === 0, progress = get("progress")
      if (inWork && state.total) Object.assign(progress, { max: state.total, value: state.done })
      else progress.removeAttribute("value")
      showStatus(
        state.before > 0 ? `${state.before} before you`
          : !inWork ? "Uploading"
            : state.total ? `Part ${state.done} of ${state.total}, ${seconds(began)}` : `The model is working, ${seconds(began)}`
      )
    } catch { /* the request itself says what is wrong */ }
    await new Promise(resolve => setTimeout(resolve, POLL_MILLISECONDS))
  }
}

const seconds = began => `${((performance.now() - began) / 1000).toFixed(1)} s`
const sentence = text => text.charAt(0).toUpperCase() + text.slice(1)

function showWorking(isWorking) {
  get("working").hidden = get("cancel").hidden = !isWorking
  get("start").disabled = get("another").disabled = isWorking
  if (isWorking) get("progress").removeAttribute("value")
}

function showStatus(text) { get("status").textContent = text }

function showError(text) {
  get("error").textContent = text
  get("error").hidden = !text
}

// Results

function addResult(model, fields, style, input, blob, notes) {
  const parts = [model.name, model.directions[fields.direction], style, fields.label]
  if (fields.seed !== undefined) parts.push(`seed ${fields.seed}`)
  if (fields.truncation !== undefined) parts.push(`truncation ${fields.truncation}`)
  if (fields.strength !== undefined && fields.strength < 1) parts.push(`strength ${Math.round(fields.strength * 100)} %`)
  const stem = input ? input.file.name.replace(/\.\w+$/, "") : model.name
  const name = [stem, input ? fields.direction : fields.label, fields.seed].filter(part => part !== undefined).join("-")
  const file = new File([blob], `${name.replace(/[^\p{L}\p{N}._-]+/gu, "_")}.png`, { type: "image/png" })
  results.unshift({ url: URL.createObjectURL(blob), file, input, caption: parts.filter(Boolean).join(" · "), notes })
  while (results.length > MAX_RESULTS) drop(results.pop())
  show(results[0])
}

function drop(result) {
  URL.revokeObjectURL(result.url)
  forget(result.input)
}

function show(result) {
  shown = result
  get("empty").hidden = Boolean(result)
  get("result").hidden = !result
  get("gallery").hidden = !results.length
  get("results").replaceChildren(...results.map(each => {
    const item = document.createElement("li"), button = document.createElement("button"), image = document.createElement("img")
    Object.assign(image, { src: each.url, alt: each.caption })
    Object.assign(button, { type: "button", title: each.caption })
    button.setAttribute("aria-current", String(each === result))
    button.addEventListener("click", () => {
      show(each)
      get("results").children[results.indexOf(each)].querySelector("button").focus()
    })
    button.append(image)
    item.append(button)
    return item
  }))
  if (!result) return
  const compare = get("compare")
  compare.classList.toggle("single", !result.input)
  get("after").src = result.url
  if (result.input) get("before").src = result.input.url
  else get("before").removeAttribute("src")
  get("caption").textContent = result.caption
  get("notes").textContent = result.notes
  Object.assign(get("download"), { href: result.url, download: result.file.name })
}

get("after").addEventListener("load", ({ target }) => {
  const compare = get("compare")
  compare.style.setProperty("--ratio", target.naturalWidth / target.naturalHeight)
  compare.classList.toggle("coarse", target.naturalWidth < 200)
})
get("before").addEventListener("error", () => get("compare").classList.add("single"))
get("slider").addEventListener("input", ({ target }) => {
  get("compare").style.setProperty("--position", `${target.value}%`)
  target.setAttribute("aria-valuetext", `${target.value} % before`)
})

get("reuse").addEventListener("click", () => {
  const translates = models.findIndex(model => !model.generates)
  if (chosenModel().generates && translates >= 0) {
    get("model").value = translates
    showModel()
  }
  choose("image", shown.file)
  get("start").focus()
})
get("clear").addEventListener("click", () => {
  results.splice(0).forEach(drop)
  show(null)
  get("model").focus()
})
get("another").addEventListener("click", () => {
  get("seed").value = Math.floor(Math.random() * (max_seed + 1))
  start()
})
get("cancel").addEventListener("click", () => running?.abort())
get("settings").addEventListener("submit", event => { event.preventDefault(); start() })
get("settings").addEventListener("input", showNumbers)
get("model").addEventListener("change", showModel)
showModel()
document.documentElement.dataset.ready = "yes"

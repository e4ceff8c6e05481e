"use strict"
const { refresh_seconds } = JSON.parse(document.getElementById("page-data").textContent)

async function refresh() {
  try {
    const response = await fetch("/", { signal: AbortSignal.timeout(20000) })
    const page = new DOMParser().parseFromString(await response.text(), "text/html")
    const shown = document.querySelector("main"), next = page.querySelector("main")
    const image = shown.querySelector("img"), newImage = next.querySelector("img")
    if (image && newImage && image.getAttribute("src") === newImage.getAttribute("src")) newImage.replaceWith(image) // no flicker
    shown.replaceWith(next)
    document.title = page.title
  } catch {
    document.getElementById("lost").hidden = false
  }
  setTimeout(refresh, refresh_seconds * 1000)
}

setTimeout(refresh, refresh_seconds * 1000)

// How a file is known again after a reload: by name, size, time of change, and its first and last bytes.

import { bytesOf } from "./problems.js";

const EDGE_BYTES = 64 * 1024;

/** 64-bit FNV-1a: tells texts apart where the browser has no crypto.subtle. @param {string} text */
function shortHash(text) {
  let hash = 0xcbf29ce484222325n;
  for (const byte of new TextEncoder().encode(text)) {
    hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n);
  }
  return hash.toString(16).padStart(16, "0");
}

/** @param {ArrayBuffer} digest */
function hexOf(digest) {
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * The file's fingerprints, the best first. Without crypto.subtle (plain http on another host than localhost) there is
 * only the one that does not look at the bytes.
 * @param {File} file
 * @returns {Promise<string[]>} each at most 100 characters
 */
export async function fingerprintsOf(file) {
  const first = await bytesOf(file.slice(0, EDGE_BYTES));
  const plain = `plain-${shortHash(file.name)}-${file.size}-${file.lastModified}`;
  if (!globalThis.crypto?.subtle) return [plain];
  const last = await bytesOf(file.slice(Math.max(0, file.size - EDGE_BYTES)));
  const edges = await Promise.all([first, last].map((bytes) => crypto.subtle.digest("SHA-256", bytes)));
  const whole = [file.name, file.size, file.lastModified, ...edges.map(hexOf)].join("\n");
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(whole));
  return [`edges-${hexOf(digest)}`, plain];
}

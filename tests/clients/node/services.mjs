// Prints every method that the SDK named by the argument has, as package.Service/Method.
const {depot} = await import(process.argv[2])

function* methods(part, path) {
  for (const [name, inner] of Object.entries(part)) {
    if (typeof inner === 'function') yield `${path}/${name[0].toUpperCase()}${name.slice(1)}`
    else if (inner && typeof inner === 'object') yield* methods(inner, `${path}.${name}`)
  }
}

console.log(JSON.stringify([...methods(depot, 'depot')]))

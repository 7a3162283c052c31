// Gets an endpoint with the build's own token, reports its health in one stream, and prints what came:
// endpoint.mjs BUILD [PLATFORM]
import {depot} from '@depot/sdk-node'

const headers = {Authorization: `Bearer ${process.env.DEPOT_TOKEN}`}
const PLATFORM_AMD64 = 1
const [buildId, platform = PLATFORM_AMD64] = process.argv.slice(2)
const hold = {buildId, platform: Number(platform)}

const cases = []
let active
for await (const {connection} of depot.buildkit.v1.BuildKitService.getEndpoint(hold, {headers})) {
  cases.push(connection.case)
  if (connection.case === 'active') active = connection.value
}

async function* health() {
  yield hold
  yield hold
}
const reported = await depot.buildkit.v1.BuildKitService.reportHealth(health(), {headers})

console.log(JSON.stringify({cases, active: active.toJson(), reported: reported.toJson()}))

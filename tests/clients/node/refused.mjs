// Calls until the server has had enough. Prints what the SDK's error says about when to try again.
import {depot} from '@depot/sdk-node'

const headers = {Authorization: `Bearer ${process.env.DEPOT_TOKEN}`}

for (let calls = 0; calls < 100; calls++) {
  try {
    await depot.core.v1.ProjectService.listProjects({}, {headers})
  } catch (error) {
    const {code, metadata, details} = error
    const hint = details.map((detail) => detail.type)
    console.log(JSON.stringify({calls, code, retryAfter: metadata.get('retry-after'), hint}))
    break
  }
}

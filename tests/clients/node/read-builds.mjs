// Lists a project's builds, two a page, and gets each of them.
import {depot} from '@depot/sdk-node'

const headers = {Authorization: `Bearer ${process.env.DEPOT_TOKEN}`}
const projectId = process.env.DEPOT_PROJECT_ID
const builds = depot.core.v1.BuildService

const pages = []
let pageToken
do {
  const page = await builds.listBuilds({projectId, pageSize: 2, pageToken}, {headers})
  pages.push(page.builds.map((build) => build.toJson()))
  pageToken = page.nextPageToken
} while (pageToken)
const got = []
for (const {buildId} of pages.flat()) {
  got.push((await builds.getBuild({buildId}, {headers})).build.toJson())
}

console.log(JSON.stringify({pages, got}))

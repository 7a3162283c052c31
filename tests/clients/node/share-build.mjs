// Shares a build and takes it back: share-build.mjs BUILD
import {depot} from '@depot/sdk-node'

const headers = {Authorization: `Bearer ${process.env.DEPOT_TOKEN}`}
const buildId = process.argv[2]
const builds = depot.core.v1.BuildService
const {shareUrl} = await builds.shareBuild({buildId}, {headers})
const shared = (await fetch(shareUrl)).status
await builds.stopSharingBuild({buildId}, {headers})
const afterwards = (await fetch(shareUrl)).status

console.log(JSON.stringify({shareUrl, shared, afterwards}))

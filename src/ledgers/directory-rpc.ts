/** Which tenants there are. Each call may be repeated without harm. */
export interface DirectoryRpc {
  add(tenant: string): Promise<void>;
  /** Names in their order, beginning behind `after`. */
  list(after: string | null, limit: number): Promise<string[]>;
}
